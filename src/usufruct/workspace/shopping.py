"""What is on offer: from the ledger, with titles and terms from the owners' nodes."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from usufruct.errors import Unavailable, UsufructError
from usufruct.types import Address, AssetId, AssetKind, Digest, Use
from usufruct.workspace import finding, nodes, offering
from usufruct.workspace.money import Tokens
from usufruct.workspace.session import Session
from usufruct.workspace.trade import Listing, OfferView

if TYPE_CHECKING:
    from usufruct.ledger.index import Index
    from usufruct.ledger.records import AssetRecord

Titles = dict[AssetId, str]
_PATIENCE = 4.0
"""Seconds that a listing waits for all nodes together."""

_MOST_NODES = 8
"""Nodes that one listing asks; a ledger may have thousands."""

_PAGE = 100
_MOST_TERMS = 50


def search(
    session: Session,
    words: str = "",
    *,
    node: str | None = None,
    kind: AssetKind | None = None,
    use: Use | None = None,
    limit: int = 50,
) -> list[Listing]:
    """Return assets with open offers, newest first, whose texts hold all of `words`.

    Offers are always read from the ledger. Titles come from this home or from nodes; a node's
    word for a title is not evidence.
    """
    index = session.index
    known: dict[str, dict[str, Any]] = {}
    if node is not None:
        known = _cards(node, session, words, kind, use, limit)
    listed = _listings(session, index, known, kind, use, only=known if node is not None else None)
    if node is not None:
        return listed[:limit]
    return [one for one in listed if _holds(one, words)][:limit]


def show(session: Session, what: str, *, node: str | None = None) -> Listing:
    """Return one asset with all its offers and the texts of their terms.

    Parameters
    ----------
    what
        An asset by id, start or title, or an offer by id or start.
    """
    index = session.index
    try:
        asset = finding.asset(session, index, what)
    except UsufructError:
        try:
            asset_id = finding.offer(index, what).offer.asset
        except UsufructError:
            asset_id = None
        found = None if asset_id is None else index.asset(asset_id)
        if found is None:
            raise
        asset = found
    card: dict[str, Any] = {}
    with (
        contextlib.suppress(UsufructError),
        contextlib.closing(nodes.client(session, index, asset.owner, node)) as client,
    ):
        card = dict(client.asset(asset.asset))
    tokens, terms = Tokens(session.ledger), _texts(session, index, asset, node)
    made = _listing(index, tokens, asset, card, None, finding.titles(session))
    views = _views(index, tokens, asset.asset, made.title, None, opened=False)
    return replace(made, offers=views, terms=terms)


def _texts(session: Session, index: Index, asset: AssetRecord, node: str | None) -> dict[str, str]:
    """Return the terms of an asset's offers by digest, as far as they can be had."""
    found: dict[str, str] = {}
    for record in index.offers(asset=asset.asset):
        if len(found) >= _MOST_TERMS or record.offer.terms.hex() in found:
            continue
        try:
            text = nodes.terms(session, index, record.offer, asset.owner, node)
        except Unavailable:
            break  # it does not answer, and would not the next time
        except UsufructError:
            continue
        if text is not None:
            found[record.offer.terms.hex()] = text.text
    return found


def _listings(
    session: Session,
    index: Index,
    known: dict[str, dict[str, Any]],
    kind: AssetKind | None,
    use: Use | None,
    only: Iterable[str] | None,
) -> list[Listing]:
    chosen = None if only is None else set(only)
    offered = {one.offer.asset for one in index.offers(open_only=True)}
    assets = [
        one
        for one in reversed(index.assets())
        if one.asset in offered
        and (kind is None or one.kind is kind)
        and (chosen is None or one.asset in chosen)
    ]
    titles, tokens = finding.titles(session), Tokens(session.ledger)
    cards = dict(known) or _cards_of_owners(session, index, assets, titles)
    found = [_listing(index, tokens, one, cards.get(one.asset, {}), use, titles) for one in assets]
    return [one for one in found if one.offers]


def _cards_of_owners(
    session: Session, index: Index, assets: list[AssetRecord], titles: Titles
) -> dict[str, dict[str, Any]]:
    """Ask the owners' nodes, as far as this home knows no title itself."""
    owners = dict.fromkeys(one.owner for one in assets if one.asset not in titles)
    places = {owner: nodes.of_party(index, owner) for owner in list(owners)[:_MOST_NODES]}
    answers: list[dict[str, dict[str, Any]]] = []

    def ask(owner: Address, place: str) -> None:
        with contextlib.suppress(UsufructError):
            found = _cards(place, session, "", None, None, _PAGE, timeout=_PATIENCE)
            answers.append({id_: one for id_, one in found.items() if one.get("owner") == owner})

    # all at once and not for long: any of them may be silent, and the ledger alone suffices
    asking = [
        threading.Thread(target=ask, args=(owner, place), daemon=True)
        for owner, place in places.items()
        if place is not None
    ]
    for thread in asking:
        thread.start()
    stop = time.monotonic() + _PATIENCE
    for thread in asking:
        thread.join(max(0.0, stop - time.monotonic()))
    cards: dict[str, dict[str, Any]] = {}
    for answer in list(answers):
        cards |= answer
    return cards


def _cards(
    url: str,
    session: Session,
    words: str,
    kind: AssetKind | None,
    use: Use | None,
    limit: int,
    *,
    timeout: float = 30.0,
) -> dict[str, dict[str, Any]]:
    from usufruct.peer.client import NodeClient

    chain_id = session.connection.network.chain_id
    with contextlib.closing(NodeClient(url, chain_id=chain_id, timeout=timeout)) as client:
        cards, _ = client.assets(
            q=words or None,
            kind=None if kind is None else str(kind),
            use=None if use is None else str(use),
            limit=min(limit, _PAGE),
        )
    return {str(card["id"]): card for card in cards if "id" in card}


def _listing(
    index: Index,
    tokens: Tokens,
    asset: AssetRecord,
    card: dict[str, Any],
    use: Use | None,
    titles: Titles,
) -> Listing:
    party = index.party(asset.owner)
    title = titles.get(asset.asset) or nodes.plain(card.get("title"))
    return Listing(
        asset.asset,
        title,
        nodes.plain(card.get("description")),
        asset.kind,
        asset.state,
        asset.owner,
        party.name if party is not None else "",
        nodes.of_party(index, asset.owner) or "",
        asset.versions,
        None if asset.latest_root is None else Digest(asset.latest_root.hex()),
        _views(index, tokens, asset.asset, title, use),
    )


def _views(
    index: Index,
    tokens: Tokens,
    asset: AssetId,
    title: str,
    use: Use | None,
    *,
    opened: bool = True,
) -> tuple[OfferView, ...]:
    return tuple(
        offering.of_record(one, tokens, title)
        for one in index.offers(asset=asset, open_only=opened)
        if use is None or one.offer.use is use
    )


def _holds(listing: Listing, words: str) -> bool:
    text = " ".join(
        (listing.title, listing.description, str(listing.kind), listing.owner_name, listing.asset)
    ).casefold()
    return all(word in text for word in words.casefold().split())
