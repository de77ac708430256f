"""How a command speaks: one JSON document, or words for people; progress on stderr only."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from usufruct.errors import Mismatch, UsufructError, VerificationError
from usufruct.ports import SILENT, Progress, Task

if TYPE_CHECKING:
    from rich.console import Console


PIPE_WIDTH = 160
"""Columns of a table that goes into a pipe or a file."""


def plain(text: object, limit: int = 200) -> str:
    """Return a stranger's text without control characters, so that it cannot drive a terminal."""
    cleaned = "".join(c if c.isprintable() else "�" for c in str(text))
    return cleaned if len(cleaned) <= limit else cleaned[: limit - 1] + "…"


def safe(text: object, limit: int = 200) -> str:
    """Return a stranger's text fit to stand inside rich markup."""
    from rich.markup import escape

    return escape(plain(text, limit))


def console(stderr: bool = False) -> Console:
    """Return a console on stdout (or stderr) that emits no colour into pipes."""
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            # a reader that has gone ends the command quietly, which is decided in one place
            raise BrokenPipeError

    looked_at = (sys.stderr if stderr else sys.stdout).isatty()
    # who reads a pipe wants whole cells, not a screen's width
    width = None if looked_at or "COLUMNS" in os.environ else PIPE_WIDTH
    return Plain(
        stderr=stderr,
        highlight=False,
        emoji=False,
        soft_wrap=not sys.stdout.isatty(),
        width=width,
    )


def json_text(document: object) -> str:
    """Return JSON to look at: no character in it can drive a terminal."""
    text = json.dumps(document, indent=2, ensure_ascii=False)
    return _NOT_ASCII.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    character = found[0]
    return character if character.isprintable() else json.dumps(character)[1:-1]


_NOT_ASCII = re.compile("[\x7f-\U0010ffff]")


def show_document(document: object) -> None:
    """Print the one JSON document of a command."""
    text = json_text(document)
    encoding = sys.stdout.encoding or "ascii"
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        text = json.dumps(document, indent=2)
    sys.stdout.write(text + "\n")


def show(document: Mapping[str, Any], as_json: bool, human: Callable[[Console], None]) -> None:
    """Print the result of a command: the document as JSON, or what `human` draws."""
    if as_json:
        show_document(document)
        return
    human(console())


def show_error(error: UsufructError, as_json: bool) -> int:
    """Print an error in words (stderr) or as the one JSON document; return the exit code."""
    if as_json:
        show_document(error.as_dict())
        return error.exit_code
    out = console(stderr=True)
    out.print(f"[bold red]{'failed' if error.exit_code == 1 else 'error'}:[/] {safe(error, 2000)}")
    if isinstance(error, VerificationError):
        for mismatch in error.mismatches[:MOST_SHOWN]:
            out.print("  [red]✗[/] " + safe(describe(mismatch), 500))
        more = len(error.mismatches) - MOST_SHOWN
        if more > 0:
            out.print(f"  and {more} more (--json lists all)")
    if error.hint:
        out.print(f"[bold]next:[/] {safe(error.hint, 500)}")
    return error.exit_code


MOST_SHOWN = 20


def describe(mismatch: Mismatch) -> str:
    """Return one mismatch as a line: who, where, what."""
    parts = [mismatch.what]
    if mismatch.party:
        parts.append(f"party {mismatch.party}")
    if mismatch.file is not None:
        parts.append(f"file {mismatch.file}")
    for word in ("chunk", "row", "line"):
        number = getattr(mismatch, word)
        if number is not None:
            parts.append(f"{word} {number}")
    return ", ".join(parts) + (f": {mismatch.detail}" if mismatch.detail else "")


def progress(as_json: bool) -> Progress:
    """Return bars for a terminal, silence for a pipe."""
    return SILENT if as_json or not sys.stderr.isatty() else _Bars()


class _Bar:
    def __init__(self, bar: Any, task: Any) -> None:
        self._bar = bar
        self._task = task

    def advance(self, amount: int) -> None:
        self._bar.update(self._task, advance=amount)


class _Bars:
    """Bars that appear only when the work takes more than a second."""

    @contextmanager
    def task(self, label: str, total: int | None = None, unit: str = "B") -> Iterator[Task]:
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
        )

        count = DownloadColumn(binary_units=True) if unit == "B" else MofNCompleteColumn()
        bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            count,
            TimeRemainingColumn(),
            console=console(stderr=True),
            transient=True,
        )
        with _shown_after(bar, seconds=1.0):
            yield _Bar(bar, bar.add_task(label, total=total))


@contextmanager
def _shown_after(bar: Any, seconds: float) -> Iterator[None]:
    import threading

    timer = threading.Timer(seconds, bar.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        bar.stop()
