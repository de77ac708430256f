"""Which offer, licence, asset or party a person means by a few letters."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeVar

from usufruct.errors import BadInput, NotFound
from usufruct.types import Address, AssetId, parse_address
from usufruct.workspace import gathering
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.ledger.index import Index
    from usufruct.ledger.records import AssetRecord, LicenceRecord, OfferRecord

T = TypeVar("T")
_HEX = re.compile(r"(0x)?[0-9a-fA-F]{6,64}\Z")
LEAST = 6
"""Digits of an id that are enough, if only one begins with them."""


def offer(index: Index, text: str) -> OfferRecord:
    """Return the offer whose id begins with `text` (NotFound, BadInput: several)."""
    start = _start(text, "an offer")
    found = [one for one in index.offers() if one.offer_id.startswith(start)]
    return _only(found, f"offer {text}", [one.offer_id[:16] for one in found], "market list")


def licence(index: Index, text: str, mine: Address) -> LicenceRecord:
    """Return the licence whose id begins or ends with `text`, among those of one party.

    Licences of one offer begin alike, so the end of an id is taken too, and what tables show:
    the start and the end with dots between.

    Raises
    ------
    NotFound, BadInput
        There is none, or there are several.
    """
    first, _, last = text.lower().removeprefix("0x").partition("…")
    known = {one.licence: one for one in index.licences(holder=mine)}
    known |= {one.licence: one for one in index.licences() if one.payer == mine}
    owned = {asset.asset for asset in index.assets() if asset.owner == mine}
    known |= {one.licence: one for one in index.licences() if one.asset in owned}
    if last:
        found = [one for id_, one in known.items() if id_.startswith(first) and id_.endswith(last)]
    else:
        start = _start(text, "a licence")
        found = [one for id_, one in known.items() if id_.startswith(start) or id_.endswith(start)]
    return _only(found, f"licence {text}", [one.licence for one in found], "licences")


def asset(session: Session, index: Index, text: str, *, proven: bool = False) -> AssetRecord:
    """Return an asset on the ledger by id, the start of it, or a title that is known here.

    Parameters
    ----------
    proven
        Take only titles that an owner signed: where money will go hangs on it.

    Raises
    ------
    NotFound, BadInput
        There is none, or there are several.
    """
    if _HEX.match(text):
        start = text.lower().removeprefix("0x")
        found = [one for one in index.assets() if one.asset.startswith(start)]
        if found:
            return _only(found, f"asset {text}", [one.asset[:16] for one in found], "market list")
    known_as = titles(session, proven=proven)
    ids = sorted(id_ for id_, title in known_as.items() if title == text)
    known = [one for one in (index.asset(id_) for id_ in ids) if one is not None]
    if not known:
        raise NotFound(
            f"no asset is known here as '{text}'",
            hint="name it by its id: usufruct market list; a title is known once it was bought",
        )
    return _only(known, f"asset '{text}'", [one.asset[:16] for one in known], "market list")


def titles(session: Session, *, proven: bool = False) -> dict[AssetId, str]:
    """Return the titles of assets this home knows: its own, received, and bought ones.

    What was bought is called what its seller's node called it, which is no evidence: `proven`
    leaves it out.
    """
    from usufruct.workspace import receipts

    known = {
        receipt.offer.asset: receipt.title
        for receipt in ([] if proven else receipts.kept(session))
        # nobody said what it is called when it was bought
        if not receipt.offer.asset.startswith(receipt.title)
    }
    for _, version, _ in gathering.given_versions(session):
        known[version.asset] = version.title
    for record in session.assets_store.assets():
        known[record.id] = record.title
    return known


def party(session: Session, index: Index, text: str) -> Address:
    """Return a party's account by its address or its name, if only one has that name.

    Raises
    ------
    NotFound, BadInput
        Nobody, or several parties, have the name.
    """
    if text.lower().startswith("0x"):
        return parse_address(text)
    if text == session.public.name:
        return session.public.address
    found = [one for one in index.parties() if one.name == text]
    if len(found) > 1:
        raise BadInput(
            f"{len(found)} parties on this ledger call themselves '{text}'",
            hint="give the account's address: " + ", ".join(one.address for one in found[:4]),
        )
    return _only(found, f"party '{text}'", [], "market list").address


def names(session: Session, index: Index) -> dict[Address, str]:
    """Return what each party calls itself; proves nothing."""
    known = {one.address: one.name for one in index.parties()}
    return known | {session.public.address: session.public.name}


def _start(text: str, what: str) -> str:
    if not _HEX.match(text):
        raise BadInput(f"'{text}' is not {what}", hint=f"give {LEAST} digits or more of its id")
    return text.lower().removeprefix("0x")


def _only(found: Sequence[T], what: str, ids: Iterable[str], command: str) -> T:
    if not found:
        raise NotFound(f"this ledger has no {what}", hint=f"usufruct {command}")
    if len(found) > 1:
        raise BadInput(
            f"{len(found)} match '{what}'", hint="give more of: " + ", ".join(list(ids)[:4])
        )
    return found[0]
