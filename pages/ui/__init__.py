"""What pages share: frame, session state, caches, figures. Only pages import from here.

Importing it, as every page does before the rest of ser_core, holds the numeric libraries to one thread each: they read this when they are
first loaded.
"""

from ser_core.system import priority

priority.limit_threads()
