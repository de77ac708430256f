"""Contracts of others that sell the use of data, measured by their own published bytecode.

One module a peer. Each has ``measure(evm) -> list[Sheet]`` over a fresh engine and raises
`PeerMissing` where its package cannot be had; nothing else of a peer is known outside its module.
`ours` has the same face. To add one: a folder under ``locks/`` with package.json, package-lock.json
and .npmrc, a module here, and its line in ``PEERS``.
"""

from __future__ import annotations

from bench.peers import ocean, ours
from bench.peers.figures import Figure, Job, Measure, PeerMissing, Sheet

PEERS: dict[str, Measure] = {"Ocean Protocol": ocean.measure}
"""What measures each peer, by the peer's name."""

__all__ = ["PEERS", "Figure", "Job", "Measure", "PeerMissing", "Sheet", "ours"]
