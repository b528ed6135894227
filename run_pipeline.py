#!/usr/bin/env python3
"""Staged, streaming video pipeline around StyleGANEX.

    python run_pipeline.py --task toonify input.mp4

Exit status: 0 done; 1 a job or a check failed; 2 the input or a setting is wrong (one line what, one line the remedy);
130 interrupted.
"""

import os
import sys

from models.errors import UserError
from pipeline.cli import main


def run(argv: list[str]) -> int:
    """Run one command line; say what a user can mend in two lines, let our own bugs show their traceback."""
    try:
        return main(argv)
    except UserError as error:
        print(f"error: {error.what}\nhint: {error.remedy}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of our output, such as `head`, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted; nothing was left under the final name", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
