"""`python -m ser_core`: see cli/main.py."""

import sys

from ser_core.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
