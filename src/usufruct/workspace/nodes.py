"""Which node to ask, and what it says that can be checked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from usufruct.errors import NotFound, UsufructError
from usufruct.market.terms import TermsText, check_terms
from usufruct.types import Address, AssetId
from usufruct.workspace import receipts
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.ledger.bindings.offers import Offer
    from usufruct.ledger.index import Index
    from usufruct.peer.client import NodeClient

_MOST_TITLE = 200
"""Characters of a title that a node is believed; a receipt must hold it."""


def of_party(index: Index, owner: Address) -> str | None:
    """Return where a party's node answers, as it says on the ledger; None if it says nothing."""
    from usufruct.peer.directory import find_node

    try:
        return find_node(index, owner)
    except UsufructError:
        return None


def client(session: Session, index: Index, owner: Address, url: str | None) -> NodeClient:
    """Return a client of an owner's node for reading what anybody may read.

    Raises
    ------
    NotFound, BadInput
        The owner has told nobody of a node, or of one that cannot be used.
    """
    from usufruct.peer.client import NodeClient
    from usufruct.peer.directory import find_node

    place = url or find_node(index, owner)
    return NodeClient(place, chain_id=session.connection.network.chain_id, node=owner)


def terms(
    session: Session, index: Index, offer: Offer, owner: Address, url: str | None
) -> TermsText | None:
    """Return the text of an offer's terms from this home, else from its owner's node.

    Raises
    ------
    VerificationError
        What came is not the text the offer names, or none came.
    """
    if not any(offer.terms):
        return None
    known = receipts.terms_text(session.home.path, offer.terms)
    if known is not None:
        return known
    data = None
    with (
        contextlib.suppress(NotFound),
        contextlib.closing(client(session, index, owner, url)) as node,
    ):
        data = node.terms(offer.asset, offer.terms.hex()).encode()
    return check_terms(data, offer.terms)


def title(session: Session, index: Index, asset: AssetId, owner: Address, url: str | None) -> str:
    """Return what an asset is called by its owner's node, without the right to be believed."""
    with contextlib.closing(client(session, index, owner, url)) as node:
        return plain(node.asset(asset).get("title")) or asset[:16]


def plain(text: object) -> str:
    """Return a stranger's text as one line of at most 200 characters that can be shown and kept."""
    if not isinstance(text, str):
        return ""
    return "".join(c if c.isprintable() else "\ufffd" for c in text[:_MOST_TITLE])
