"""Rows of CSV and TSV files: strict when evidence is made, forgiving when it is checked.

The format is RFC 4180 in UTF-8: fields apart by one delimiter, quotes round a field that holds
delimiters, quotes (doubled) or line ends; records end in LF or CRLF. Every record is a row,
the header too; rows count from 1. A blank line is no row. A byte order mark at the start is
no part of the first field.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from usufruct.errors import BadInput

MAX_RECORD = 64 << 20
"""Longest record in characters; a quote that is never closed does not fill the memory."""

_DELIMITERS = {"csv": ",", "tsv": "\t", "data": ","}
_HINT = "mend the line, or publish the file without rows (--no-rows)"
_QUOTED = re.compile(r'"((?:[^"]++|"")*+)"')  # possessive: linear on any input
_SALVAGE_LINES = 1_000


class TableError(BadInput):
    """The file is not a clean table; `line` is where, from 1."""

    def __init__(self, why: str, line: int, *, file: str | None = None) -> None:
        where = f"{file}, line {line}" if file else f"line {line}"
        super().__init__(f"{where}: {why}", hint=_HINT)
        self.why = why
        self.line = line


class Record(NamedTuple):
    """One record of a damaged table, with the bytes it takes in the file."""

    fields: list[str]
    line: int
    start: int
    end: int


def delimiter_of(path: str) -> str | None:
    """Return what separates fields in a file of this name, or None if it is no table."""
    return _DELIMITERS.get(path.rpartition(".")[2].lower()) if "." in path else None


def may_be_plain(path: str) -> bool:
    """Whether a file of this name is quietly a plain file when it is no clean table."""
    return path.lower().endswith(".data")


def read_rows(blocks: Iterable[bytes], delimiter: str) -> Iterator[tuple[list[str], int]]:
    """Parse a table strictly as its bytes come in.

    Parameters
    ----------
    blocks
        The file's bytes, cut anywhere.

    Yields
    ------
    tuple
        The row's fields and the physical line it starts on, from 1.

    Raises
    ------
    TableError
        Ragged rows, bytes that are not UTF-8, NUL, a lone carriage return, or quotes that
        RFC 4180 does not allow.
    """
    parser = _Parser(delimiter)
    for lines in _whole_lines(blocks):
        yield from parser.feed(lines)
    yield from parser.finish()


def _whole_lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Cut the bytes anew after a line end; only the last piece may lack one."""
    pending: list[bytes] = []
    waiting = 0
    first = True
    for block in blocks:
        cut = block.rfind(b"\n") + 1
        if not cut:
            pending.append(block)
            waiting += len(block)
            if waiting > 4 * MAX_RECORD:
                break  # at four bytes a character too long for certain; the parser says where
            continue
        pending.append(block[:cut])
        whole = b"".join(pending) if len(pending) > 1 else pending[0]
        pending, waiting = [block[cut:]], len(block) - cut
        yield whole.removeprefix(codecs.BOM_UTF8) if first else whole
        first = False
    rest = b"".join(pending)
    if rest:
        yield rest.removeprefix(codecs.BOM_UTF8) if first else rest


class _Parser:
    def __init__(self, delimiter: str) -> None:
        self.delimiter = delimiter
        self.line = 1
        self.width = 0
        self.parts: list[str] = []  # lines of a record whose quotes are still open
        self.size = 0

    def feed(self, data: bytes) -> Iterator[tuple[list[str], int]]:
        text = self._decode(data)
        quotes = '"' in text
        if not quotes and not self.parts:
            if "\r" in text:
                text = self._without_returns(text)
            yield from self._plain(text)
        else:
            yield from self._quoted(text)

    def finish(self) -> Iterator[tuple[list[str], int]]:
        if self.parts:
            raise TableError("a quote opens here and never closes", self.line - len(self.parts))
        yield from ()

    def _decode(self, data: bytes) -> str:
        try:
            text = data.decode()
        except UnicodeDecodeError as error:
            line = self.line + data.count(b"\n", 0, error.start)
            raise TableError(f"byte 0x{data[error.start]:02x} is not UTF-8", line) from None
        if "\0" in text:
            raise TableError("it holds a NUL", self.line + text.count("\n", 0, text.index("\0")))
        if len(text) > MAX_RECORD:
            for line, one in enumerate(text.split("\n"), self.line):
                if len(one) > MAX_RECORD:
                    raise TableError(f"it is longer than {MAX_RECORD >> 20} Mi characters", line)
        return text

    def _without_returns(self, text: str) -> str:
        unix = text.replace("\r\n", "\n")
        at = unix.find("\r")
        if at >= 0:
            raise TableError("a lone carriage return", self.line + unix.count("\n", 0, at))
        return unix

    def _plain(self, text: str) -> Iterator[tuple[list[str], int]]:
        delimiter, width, line = self.delimiter, self.width, self.line
        for line, one in enumerate(text.split("\n"), self.line):
            if one:
                fields = one.split(delimiter)
                if len(fields) != width:
                    self._ragged(fields, line)
                    width = self.width
                yield fields, line
        self.line = line if text.endswith("\n") else line + 1

    def _quoted(self, text: str) -> Iterator[tuple[list[str], int]]:
        lines = text.split("\n")
        if not lines[-1]:
            lines.pop()
        elif lines[-1].endswith("\r"):
            raise TableError("a lone carriage return", self.line + len(lines) - 1)
        for one in lines:
            self.parts.append(one)
            self.line += 1
            self.size += len(one) + 1
            if self.size > MAX_RECORD:
                raise TableError(
                    f"a row of more than {MAX_RECORD >> 20} Mi characters, or an open quote",
                    self.line - len(self.parts),
                )
            odd = one.count('"') & 1
            if odd == (len(self.parts) == 1):
                continue  # the quote opens here, or has not closed yet
            record, start = "\n".join(self.parts), self.line - len(self.parts)
            self.parts, self.size = [], 0
            record = record.removesuffix("\r")
            if record:
                fields = split_record(record, self.delimiter, start)
                if len(fields) != self.width:
                    self._ragged(fields, start)
                yield fields, start

    def _ragged(self, fields: list[str], line: int) -> None:
        if self.width:
            raise TableError(f"{len(fields)} fields where the rows above have {self.width}", line)
        self.width = len(fields)


def split_record(record: str, delimiter: str, line: int) -> list[str]:
    """Split one record, without its line end, into fields.

    Raises
    ------
    TableError
        Quotes or a carriage return where RFC 4180 has none.
    """
    fields = []
    at = 0
    while True:
        if record.startswith('"', at):
            match = _QUOTED.match(record, at)
            if match is None:
                raise TableError("a quote opens and does not close", line)
            fields.append(match[1].replace('""', '"'))
            at = match.end()
        else:
            end = record.find(delimiter, at)
            end = len(record) if end < 0 else end
            field = record[at:end]
            if '"' in field or "\r" in field or "\n" in field:
                raise TableError("a quote or a line end in a field without quotes round it", line)
            fields.append(field)
            at = end
        if at == len(record):
            return fields
        if not record.startswith(delimiter, at):
            raise TableError("something follows a closing quote", line)
        at += len(delimiter)


def salvage(data: bytes, delimiter: str) -> Iterator[Record]:
    """Read rows out of a damaged table, as many as can be told apart; never fails.

    On a clean table the fields and lines equal those of :func:`read_rows`. A record that
    cannot be read as RFC 4180 is taken line by line, split at each delimiter.
    """
    start = len(codecs.BOM_UTF8) if data.startswith(codecs.BOM_UTF8) else 0
    lines = data[start:].split(b"\n")
    starts = [start]
    for one in lines:
        starts.append(starts[-1] + len(one) + 1)
    width = 0
    at = 0
    while at < len(lines):
        fields, count = _salvage_one(lines, at, delimiter, width)
        if fields is not None:
            width = width or len(fields)
            yield Record(fields, at + 1, starts[at], min(starts[at + count], len(data)))
        at += count


def _salvage_one(
    lines: list[bytes], at: int, delimiter: str, width: int
) -> tuple[list[str] | None, int]:
    first = lines[at].decode("utf-8", "backslashreplace")
    if first in ("", "\r"):
        return None, 1
    count = 1
    quotes = lines[at].count(b'"')
    while quotes & 1 and at + count < len(lines) and count < _SALVAGE_LINES:
        quotes += lines[at + count].count(b'"')
        count += 1
    record = first
    if count > 1:
        record = b"\n".join(lines[at : at + count]).decode("utf-8", "backslashreplace")
    try:
        fields = split_record(record.removesuffix("\r"), delimiter, at + 1)
        if count == 1 or not width or len(fields) == width:
            return fields, count
    except TableError:
        pass
    return first.removesuffix("\r").split(delimiter), 1
