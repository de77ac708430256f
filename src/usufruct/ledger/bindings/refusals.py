"""A contract's error by name, with the sentence a person reads and what to do next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from usufruct.clock import iso
from usufruct.errors import TransactionReverted
from usufruct.ledger.bindings.layout import Layout
from usufruct.types import AssetKind, AssetState


@dataclass(frozen=True, slots=True)
class Refusal:
    """One custom error of a contract.

    Parameters
    ----------
    name
        Its name in the contract.
    fields
        Names of its values, in order.
    layout
        How they lie in the revert data after the selector.
    text
        What happened, with ``{field}`` where a value goes.
    hint
        What to do next.
    """

    name: str
    fields: tuple[str, ...]
    layout: Layout
    text: str
    hint: str | None = None

    def error(self, data: bytes) -> TransactionReverted:
        """Return the typed error for revert data without its selector.

        Raises
        ------
        BadInput
            The data is not this error's.
        """
        values = dict(zip(self.fields, self.layout.decode(data), strict=True))
        given = {field: _plain(field, value) for field, value in values.items()}
        said = {field: _said(field, value) for field, value in given.items()}
        return TransactionReverted(
            self.text.format(**said), name=self.name, arguments=given, hint=self.hint
        )


def _words(names: type[AssetKind] | type[AssetState]) -> Callable[[int], str]:
    words = [str(name) for name in names]
    return lambda number: words[number] if number < len(words) else f"number {number}"


_STATE = _words(AssetState)
_KIND = _words(AssetKind)


_OFFER_FAULTS: Final = (
    "it is of another asset",
    "there is no such use",
    "its royalty is above the whole",
    "its refund window is longer than 30 days",
    "its token is no contract, or none where one is needed",
    "its uses are more than can be counted",
)
_SPLIT_FAULTS: Final = (
    "it is of another asset",
    "it has another version than is due",
    "it has not 1 to 64 payees with as many shares",
    "its payees are not in ascending order, or one is zero",
    "a share is zero",
    "its shares are not 1,000,000 parts together",
)
_FAULTS: Final[Mapping[str, tuple[str, ...]]] = {
    "offer_fault": _OFFER_FAULTS,
    "split_fault": _SPLIT_FAULTS,
}
_LATEST = 2**37  # seconds: the year 6325; what is beyond is no time


def _plain(field: str, value: Any) -> Any:
    """Return a value as plain data."""
    if field in ("state", "from", "to") and isinstance(value, int):
        return _STATE(value)
    if field == "kind":
        return _KIND(value)
    return value.hex() if isinstance(value, bytes) else value


def _said(field: str, value: Any) -> Any:
    """Return a value as a sentence says it."""
    if field in _FAULTS:
        faults = _FAULTS[field]
        return faults[value - 1] if 0 < value <= len(faults) else f"reason {value}"
    if field == "time":
        if not value:
            return "it is challenged"
        return iso(value) if value < _LATEST else f"{value} seconds since 1970"
    return value


def refusal(
    selector: str, name: str, fields: str, text: str, hint: str | None = None
) -> tuple[bytes, Refusal]:
    """Return a refusal by its selector; `fields` as in Solidity, of :class:`Layout`'s types."""
    pairs = [field.split() for field in fields.split(", ")] if fields else []
    layout = Layout(*(kind for kind, _ in pairs))
    names = tuple(name for _, name in pairs)
    return bytes.fromhex(selector), Refusal(name, names, layout, text, hint)
