"""`python -m ser_core`: see cli.py."""

import io
import os
import sys

# Before numpy loads: OpenBLAS' own threads make feature extraction 5 to 10 times slower on busy cores.
for name in ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS"):
    os.environ.setdefault(name, "1")

from ser_core.cli import main  # noqa: E402

if __name__ == "__main__":
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="backslashreplace"
            )  # a file's name need not be text, nor in the terminal's encoding
    sys.exit(main())
