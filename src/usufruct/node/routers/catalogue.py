"""What there is: assets, their offers, terms and evidence; for everybody."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from usufruct.errors import NotFound, Unavailable
from usufruct.market.offers import offer_to_dict
from usufruct.node import models
from usufruct.node.answers import Refusal
from usufruct.node.catalogue import MAX_LIMIT, MAX_QUERY, Entry
from usufruct.node.routers.shared import ERRORS, AssetPath, DigestPath, VersionPath, work
from usufruct.node.state import NodeState
from usufruct.types import AssetId, AssetKind, Use, parse_address

OFFERS_IN_PAGE = 20
OFFERS_IN_CARD = 500
"""Offers shown of one asset: its owner can make any number, and a page has an end."""

MOST_WAITING = 32
"""Callers that wait for evidence to be gathered."""

_PARENTS = 256
_IMMUTABLE = {"cache-control": "public, max-age=31536000, immutable"}


def make(state: NodeState) -> APIRouter:
    """Return the router."""
    router = APIRouter(tags=["catalogue"], responses=ERRORS)
    # gathering evidence reads a whole log: two at a time, whoever asks
    gathering = asyncio.Semaphore(2)
    waiting = 0

    @router.get("/assets", summary="Search the catalogue")
    async def assets(
        q: Annotated[str, Query(max_length=MAX_QUERY, description="Words.")] = "",
        kind: AssetKind | None = None,
        use: Annotated[Use | None, Query(description="Has an open offer for this use.")] = None,
        owner: Annotated[
            str | None, Query(pattern=r"^0x[0-9a-fA-F]{40}$", min_length=42, max_length=42)
        ] = None,
        limit: Annotated[int, Query(ge=1, le=MAX_LIMIT)] = 20,
        after: Annotated[
            str | None, Query(max_length=100, description="`next` of the page before.")
        ] = None,
    ) -> models.Page:
        def page() -> models.Page:
            found = state.catalogue.search(
                q,
                kind=kind,
                use=use,
                owner=None if owner is None else parse_address(owner),
                limit=limit,
                after=after,
            )
            cards = [_card(state, entry, OFFERS_IN_PAGE, open_only=True) for entry in found.entries]
            return models.Page(assets=[card for card in cards if card], next=found.after)

        return await work(state, page)

    @router.get("/assets/{asset}", summary="One asset with all its offers")
    async def asset_card(asset: AssetPath) -> models.Card:
        def card() -> models.Card:
            entry = state.catalogue.entry(AssetId(asset))
            found = _card(state, entry, OFFERS_IN_CARD, open_only=False) if entry else None
            if found is None:
                raise NotFound(f"there is no asset {asset} on this ledger")
            return found

        return await work(state, card)

    @router.get(
        "/assets/{asset}/terms/{digest}",
        summary="The text of an offer's terms",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def terms(asset: AssetPath, digest: DigestPath) -> Response:
        def text() -> bytes:
            wanted = bytes.fromhex(digest)
            # only what an offer of this asset names: the folder also holds what was bought
            offered = any(one.offer.terms == wanted for one in state.index.offers(asset))
            found = state.terms(wanted) if offered else None
            if found is None:
                raise NotFound("this node has no such terms of this asset")
            return found

        return Response(await work(state, text), media_type="text/plain", headers=_IMMUTABLE)

    @router.get(
        "/assets/{asset}/versions/{number}/evidence",
        summary="A bundle that proves the version",
        response_class=Response,
        responses={
            200: {
                "content": {
                    "application/octet-stream": {"schema": {"type": "string", "format": "binary"}}
                }
            }
        },
    )
    async def evidence(asset: AssetPath, number: VersionPath) -> Response:
        def bundle() -> bytes:
            return state.deliveries.evidence(AssetId(asset), number)

        nonlocal waiting
        await work(state, state.deliveries.version, AssetId(asset), number)
        if waiting >= MOST_WAITING:
            raise Refusal(Unavailable("too many ask for evidence at once"), 503, wait=2)
        waiting += 1
        try:
            async with gathering:
                data = await work(state, bundle)
        finally:
            waiting -= 1
        return Response(data, media_type="application/octet-stream")

    return router


def _card(state: NodeState, entry: Entry, most: int, *, open_only: bool) -> models.Card | None:
    """Return an asset as it stands, None if the ledger gave it up meanwhile."""
    asset = state.index.asset(entry.asset)
    if asset is None:
        return None
    made = list(state.index.offers(entry.asset, open_only=open_only))
    newest = sorted(made, key=lambda one: not one.open)[:most]
    root = asset.latest_root
    return models.Card(
        id=asset.asset,
        title=entry.title or None,
        description=entry.description or None,
        kind=asset.kind,
        state=asset.state,
        owner=asset.owner,
        owner_name=entry.owner_name,
        versions=asset.versions,
        content_root=None if root is None else root.hex(),
        parents=list(state.index.parents(entry.asset)[:_PARENTS]),
        offers=[_offer(one) for one in newest],
        served=entry.served,
    )


def _offer(made: Any) -> models.Offer:
    fields = offer_to_dict(made.offer) | {"use": made.offer.use}
    return models.Offer(id=made.offer_id, open=made.open, sold=made.sold, **fields)
