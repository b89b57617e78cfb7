"""What pages share: frame, session state, caches, figures. Only pages import from here.

Importing it, as every page does before ser_core, holds the numeric libraries to one thread each: with their default, every
visitor's analysis fights for all cores and takes 5 to 10 times longer. They read this when they are first loaded.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("OMP_NUM_THREADS", "1")
