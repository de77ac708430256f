"""Runs one command and turns every way it can end into words and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Any

import typer

from usufruct.cli.output import show_document, show_error
from usufruct.errors import Unavailable, UsageError, UsufructError

INTERRUPTED = 130
TRACE = "USUFRUCT_TRACEBACK"
"""Set to anything, an error that is a bug of ours shows where it happened."""

_STOPPED = "stopped; what was acknowledged is kept, the rest was not begun"


def run(arguments: list[str]) -> int:
    """Return the exit code of the command that `arguments` spell."""
    as_json = "--json" in arguments
    try:
        from usufruct.cli.app import build

        logging.getLogger("usufruct").addHandler(logging.NullHandler())
        outcome = build()(arguments, prog_name="usufruct", standalone_mode=False)
    except UsufructError as error:
        return show_error(error, as_json)
    except typer.TyperException as error:
        return _wrong_use(error, as_json)
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        if as_json:
            show_document({"error": "Interrupted", "message": _STOPPED, "hint": None})
        else:
            sys.stderr.write(f"\n{_STOPPED}\n")
        return INTERRUPTED
    except SystemExit:
        # how the library below ends when nobody reads what it writes
        raise BrokenPipeError from None
    except BrokenPipeError:
        raise
    except OSError as error:
        return show_error(_of_machine(error), as_json)
    except Exception as error:
        if os.environ.get(TRACE):
            raise
        return show_error(_bug(error), as_json)
    return outcome if isinstance(outcome, int) else 0


def _wrong_use(error: Any, as_json: bool) -> int:
    if not as_json and not error.format_message():
        error.show()  # no arguments at all: the help
        return int(error.exit_code)
    context = getattr(error, "ctx", None)
    if not as_json and context is not None:
        sys.stderr.write(context.get_usage() + "\n")
    path = context.command_path if context is not None else "usufruct"
    return show_error(UsageError(error.format_message(), hint=f"{path} --help"), as_json)


def _of_machine(error: OSError) -> UsufructError:
    about = f" ({error.filename})" if error.filename else ""
    try:
        Path.cwd()
    except OSError:
        return Unavailable(
            "the folder this runs in was deleted", hint="change to another folder and try again"
        )
    return Unavailable(
        f"the machine refused: {error.strerror or error}{about}",
        hint="check free space and permissions",
    )


def _bug(error: Exception) -> UsufructError:
    return UsufructError(
        f"this should not happen: {type(error).__name__}: {error}",
        hint=f"please report it; {TRACE}=1 shows where it happened",
    )
