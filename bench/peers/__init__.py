"""Contracts of others that do what ours do, measured by their own published bytecode.

One module a peer. Each has ``measure(evm) -> list[Sheet]`` over a fresh engine and raises
`PeerMissing` where its package cannot be had; nothing else of a peer is known outside its module.
`ours` has the same face for markets, `channels` for payment channels. To add one: a folder under
``locks/`` with package.json, package-lock.json and .npmrc, a module here, and its line in ``PEERS``
or ``CHANNEL_PEERS``.
"""

from __future__ import annotations

from bench.peers import channels, ocean, ours, snet
from bench.peers.figures import Figure, Job, Measure, PeerMissing, Sheet

PEERS: dict[str, Measure] = {"Ocean Protocol": ocean.measure}
"""What measures each peer that sells the use of data, by the peer's name."""

CHANNEL_PEERS: dict[str, Measure] = {"SingularityNET": snet.measure}
"""What measures each peer with payment channels, by the peer's name."""

__all__ = [
    "CHANNEL_PEERS",
    "PEERS",
    "Figure",
    "Job",
    "Measure",
    "PeerMissing",
    "Sheet",
    "channels",
    "ours",
]
