"""Options that many commands share, written once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from usufruct.errors import BadInput, UsageError

Json = Annotated[bool, typer.Option("--json", help="One JSON document on stdout, nothing else.")]
HomeDir = Annotated[
    Path | None,
    typer.Option("--home", help="The party's folder (else $USUFRUCT_HOME, else ~/.usufruct)."),
]
PassphraseFile = Annotated[
    Path | None,
    typer.Option("--passphrase-file", help="File whose first line opens the keys."),
]
Asset = Annotated[str, typer.Argument(help="Asset id, the start of one (6+ digits), or its title.")]

VARIABLE = "USUFRUCT_PASSPHRASE"
_MOST = 4096


class Passphrase:
    """Asks for the passphrase when it is first needed, never earlier and never twice.

    In order: ``--passphrase-file``, ``USUFRUCT_PASSPHRASE``, a prompt on the terminal. It is
    never taken from an argument, which other users of the machine could read.
    """

    def __init__(self, file: Path | None, *, confirm: bool = False) -> None:
        self._file = file
        self._confirm = confirm

    def __call__(self) -> str:
        """Return the passphrase.

        Raises
        ------
        UsageError
            There is no terminal to ask on, or it was left empty.
        """
        if self._file is not None:
            return _from_file(self._file)
        given = os.environ.get(VARIABLE)
        if given is not None:
            return _not_empty(given)
        if not _terminal():
            raise UsageError(
                "the keys need a passphrase, and there is no terminal to ask on",
                hint=f"give --passphrase-file FILE or set {VARIABLE}",
            )
        return _not_empty(
            typer.prompt("Passphrase", hide_input=True, confirmation_prompt=self._confirm, err=True)
        )


def _terminal() -> bool:
    return sys.stdin is not None and sys.stdin.isatty()


def read_phrase(file: Path | None) -> str:
    """Return the 24 words from a file (``-``: stdin), else from the terminal, unseen.

    Raises
    ------
    UsageError
        There is no terminal to ask on.
    BadInput
        The file cannot be read.
    """
    if file is not None:
        return _text_of(file, "file of words")
    if not _terminal():
        raise UsageError(
            "the 24 words are needed, and there is no terminal to ask on",
            hint="give --phrase-file FILE (- reads them from stdin)",
        )
    return str(typer.prompt("The 24 words", hide_input=True, err=True))


def _text_of(path: Path, what: str) -> str:
    try:
        if str(path) == "-":
            data = sys.stdin.buffer.read(_MOST)
        else:
            with path.open("rb") as file:
                data = file.read(_MOST)
    except OSError as error:
        raise BadInput(f"cannot read the {what} {path}: {error.strerror}") from error
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        raise BadInput(f"the {what} {path} is not UTF-8 text") from None


def _from_file(path: Path) -> str:
    return _not_empty(_text_of(path, "passphrase file").split("\n")[0].rstrip("\r"))


def _not_empty(text: str) -> str:
    if not text:
        raise UsageError("an empty passphrase protects nothing", hint="choose a longer one")
    return text
