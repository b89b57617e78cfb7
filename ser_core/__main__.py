"""`python -m ser_core`: see cli.py."""

import sys

from ser_core.cli import main

if __name__ == "__main__":
    sys.exit(main())
