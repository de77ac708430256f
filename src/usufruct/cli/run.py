"""Runs one command and turns every way it can end into words and an exit code."""

from __future__ import annotations

import logging
import sys

import typer

from usufruct.cli.output import show_error
from usufruct.errors import UsageError, UsufructError

INTERRUPTED = 130


def run(arguments: list[str]) -> int:
    """Return the exit code of the command that `arguments` spell."""
    from usufruct.cli.app import build

    as_json = "--json" in arguments
    logging.getLogger("usufruct").addHandler(logging.NullHandler())
    try:
        outcome = build()(arguments, standalone_mode=False)
    except UsufructError as error:
        return show_error(error, as_json)
    except typer.TyperException as error:
        if as_json or not hasattr(error, "show"):
            return show_error(UsageError(error.format_message(), hint="see --help"), as_json)
        error.show()
        return error.exit_code
    except typer.Exit as stop:
        return stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        sys.stderr.write("\nstopped; what was acknowledged is kept, the rest was not begun\n")
        return INTERRUPTED
    return outcome if isinstance(outcome, int) else 0
