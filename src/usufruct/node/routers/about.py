"""What this node is and how it is."""

from __future__ import annotations

import math

from fastapi import APIRouter, Response

from usufruct._version import __version__
from usufruct.node import models
from usufruct.node.delivery import MAX_LAG
from usufruct.node.routers.shared import ERRORS
from usufruct.node.state import NodeState


def make(state: NodeState) -> APIRouter:
    """Return the router."""
    router = APIRouter(tags=["about"], responses=ERRORS)

    @router.get("/node", summary="Whose node this is, and of which ledger")
    async def node() -> models.Node:
        about = state.about()
        return models.Node(
            format="usufruct/node/v1",
            party=models.Party(**about.party),
            chain_id=about.chain_id,
            network=about.network,
            contracts=about.contracts,
            version=__version__,
            url=about.url,
        )

    @router.get(
        "/health",
        summary="Whether the node answers and how well it knows its ledger",
        responses={503: {"model": models.Health, "description": "It has lost its ledger."}},
    )
    async def health(response: Response) -> models.Health:
        lag = state.chain.lag
        behind = lag > MAX_LAG
        if behind:
            response.status_code = 503
        shown = round(lag, 3) if math.isfinite(lag) else None
        return models.Health(status="behind" if behind else "ok", index_lag=shown)

    @router.get(
        "/metrics",
        summary="Figures for Prometheus",
        response_class=Response,
        responses={200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    )
    async def metrics() -> Response:
        return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")

    return router
