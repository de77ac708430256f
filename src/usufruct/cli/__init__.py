"""The command ``usufruct``: words in, one library call, words or one JSON document out."""

from __future__ import annotations

import os
import sys
from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code.

    0 done; 1 verification failed; 2 wrong use; 3 something needed is missing or
    unreachable; 130 stopped by Ctrl-C.
    """
    from usufruct.cli.run import run

    try:
        code = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone: that is its right, not an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 0
    sys.exit(code)
