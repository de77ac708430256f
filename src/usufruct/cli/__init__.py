"""The command ``usufruct``: words in, one library call, words or one JSON document out."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from typing import NoReturn


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the command line and leave with its exit code.

    0 done; 1 verification failed; 2 wrong use; 3 something needed is missing or
    unreachable; 130 stopped by Ctrl-C.
    """
    code = 130
    try:
        _prepare_streams()
        from usufruct.cli.run import run

        code = run(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader (head, less) has gone: that is its right, not an error.
        _silence(sys.stdout)
        code = 0
    except KeyboardInterrupt:
        code = 130
    except OSError as error:
        _silence(sys.stdout)
        with contextlib.suppress(OSError):
            sys.stderr.write(f"error: cannot write the output: {error.strerror}\n")
        code = 3
    # the work is done: a late Ctrl-C has nothing left to stop
    with contextlib.suppress(ValueError):
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.exit(code)


def _prepare_streams() -> None:
    """Make sure that there is somewhere to write to, and that no character can be too much."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115, PTH123 lives as long as we
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _silence(stream: object) -> None:
    with contextlib.suppress(OSError, AttributeError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())  # type: ignore[attr-defined]
