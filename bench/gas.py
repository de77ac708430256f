#!/usr/bin/env python3
"""What our contracts cost in gas, beside the contracts of peers on the same engine.

Run from a checkout: ``python bench/gas.py [--json] [--no-peer]``. A figure is ``gasUsed`` of real
transactions, each in its own block, with arguments of the usual length. Markets (selling the use
of data) and payment channels are measured in the same run from the bytecode that a peer published,
which npm fetches into the user's cache; where that cannot be done the report says why and shows
ours alone. Peers' figures for the rest are quoted from the project's design. Exit code 1 means that
a bar of ours is missed.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.peers import CHANNEL_PEERS, PEERS, Figure, Measure, PeerMissing, Sheet, channels, ours
from tests.contracts.evm import Contracts, Evm, running_evm

from usufruct.ledger.bindings import anchors, assets, parties
from usufruct.ledger.bindings.calls import Call
from usufruct.types import AssetKind, AssetState

URI = "https://node.example/assets/0123456789abcdef"
SALTS = tuple(bytes([n]) * 16 for n in range(1, 8))
ROOTS = tuple(bytes([n]) * 32 for n in range(1, 8))

EAS = "EAS 191,000 a statement"


@dataclass(frozen=True)
class Row:
    """One measured transaction, its bar and the peer's figure as quoted."""

    what: str
    gas: int
    bar: int | None = None
    peer: str = ""


def measure(evm: Evm, on: Contracts) -> list[Row]:
    """Return our figures, measured on freshly deployed contracts."""
    return [
        Row(what, evm.send(call, evm.accounts[1]).gas, bar, peer)
        for what, call, bar, peer in _transactions(evm, on)
    ]


def _transactions(evm: Evm, on: Contracts) -> Iterator[tuple[str, Call, int | None, str]]:
    owner = evm.accounts[1]
    kind = AssetKind.MODEL
    party: dict[str, Any] = {"encryption_key": ROOTS[1], "name": "Clinic of Example", "node": URI}
    yield (
        "register a party",
        parties.register(on.parties, signing_key=ROOTS[0], **party),
        None,
        "",
    )
    yield (
        "replace its entry",
        parties.register(on.parties, signing_key=ROOTS[2], **party),
        None,
        "",
    )
    first, second, third = sorted(assets.asset_id(owner, salt) for salt in SALTS[:3])
    by_id = {assets.asset_id(owner, salt): salt for salt in SALTS}
    one: dict[str, Any] = {"kind": kind, "metadata": ROOTS[3], "uri": URI}
    yield (
        "publish: the account's first asset",
        assets.publish(on.assets, asset=first, salt=by_id[first], root=ROOTS[0], **one),
        None,
        "",
    )
    yield (
        "publish: a further asset",
        assets.publish(on.assets, asset=second, salt=by_id[second], root=ROOTS[0], **one),
        None,
        "",
    )
    yield (
        "publish: a later version, no offer",
        assets.publish(on.assets, asset=first, root=ROOTS[1], **one),
        90_000,
        "with an offer, and beside Ocean: see below",
    )
    yield (
        "register a draft: 2 parents and a split",
        assets.register(
            on.assets, salt=by_id[third], parents=[first, second], split_hash=ROOTS[4], **one
        ),
        None,
        "",
    )
    yield (
        "publish: the draft's first version",
        assets.publish(on.assets, asset=third, root=ROOTS[2], **one),
        None,
        "",
    )
    yield (
        "retire an asset",
        assets.set_state(on.assets, first, AssetState.RETIRED),
        None,
        "",
    )
    name = anchors.log_name("example.org/log")
    yield (
        "anchor a log: first",
        anchors.anchor(on.anchors, name=name, size=10, root=ROOTS[0]),
        None,
        EAS,
    )
    yield (
        "anchor a log: later",
        anchors.anchor(on.anchors, name=name, size=5_000_000, root=ROOTS[1]),
        35_000,
        EAS,
    )
    yield "note: event only", anchors.note(on.anchors, ROOTS[2]), 25_000, EAS


def measure_beside(
    own: Measure, peers: dict[str, Measure]
) -> tuple[Sheet, list[Sheet], dict[str, str]]:
    """Return our sheet, the peers' sheets, and why a peer is missing, by its name."""
    with running_evm() as evm:
        mine = own(evm)[0]
    found: list[Sheet] = []
    missing: dict[str, str] = {}
    for name, measure_peer in peers.items():
        try:
            with running_evm() as evm:
                found += measure_peer(evm)
        except PeerMissing as reason:
            missing[name] = str(reason)
    return mine, found, missing


def print_rows(rows: list[Row]) -> None:
    """Print what is neither a market nor a channel."""
    width = max(len(row.what) for row in rows)
    print(f"{'':{width}}     ours       bar  peer (quoted from the design, not measured here)")
    for row in rows:
        bar = f"{row.bar:>9,}" if row.bar is not None else " " * 9
        print(f"{row.what:{width}}  {row.gas:>7,} {bar}  {row.peer}".rstrip())


def print_beside(mine: Sheet, peers: list[Sheet]) -> None:
    """Print jobs: transactions and gas, and how many times ours a peer takes."""
    titles = {figure: _title(figure) for figure in mine.figures}
    width = max(len(title) for title in titles.values())
    heads = "".join(f"  {sheet.name:<25}" for sheet in peers)
    print(f"{'':{width}}  {'ours':<12}      bar{heads}".rstrip())
    for figure, title in titles.items():
        bar = f"{figure.bar:>9,}" if figure.bar is not None else " " * 9
        cells = "".join("  " + _beside(sheet, figure) for sheet in peers)
        print(f"{title:{width}}  {_cost(figure):12}{bar}{cells}".rstrip())
    for sheet in (mine, *peers):
        for note in sheet.notes:
            print(f"- {sheet.name}: {note}")


def _title(figure: Figure) -> str:
    return f"{figure.job} ({figure.way})" if figure.way else str(figure.job)


def _cost(figure: Figure) -> str:
    return f"{figure.transactions} tx {figure.gas:>7,}"


def _beside(sheet: Sheet, figure: Figure) -> str:
    peer = sheet.find(figure.job, figure.way)
    if peer is None:
        return f"{'-':<25}"
    return f"{peer.transactions} tx {peer.gas:>9,} {peer.gas / figure.gas:>5.2f} x  "


def main() -> int:
    """Measure, print, and return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--no-peer", action="store_true", help="measure ours alone")
    arguments = parser.parse_args()
    with running_evm() as evm:
        rows = measure(evm, evm.deploy_all())
    alone = arguments.no_peer
    mine, peers, missing = measure_beside(ours.measure, {} if alone else PEERS)
    paying, payers, lost = measure_beside(channels.measure, {} if alone else CHANNEL_PEERS)
    missing |= lost
    figures: list[tuple[str, int, int | None]] = [(row.what, row.gas, row.bar) for row in rows]
    figures += [(_title(one), one.gas, one.bar) for one in mine.figures + paying.figures]
    missed = [what for what, gas, bar in figures if bar is not None and gas > bar]
    if arguments.json:
        document = {
            "gas": [asdict(row) for row in rows],
            "market": asdict(mine),
            "channels": asdict(paying),
            "peers": [asdict(sheet) for sheet in peers + payers],
            "missing": missing,
            "missed": missed,
            "bars_met": not missed,
        }
        print(json.dumps(document, indent=1))
    else:
        print_rows(rows)
        print()
        print_beside(mine, peers)
        print()
        print_beside(paying, payers)
        for name, reason in missing.items():
            print(f"{name} is missing: {reason}")
        for what in missed:
            print(f"bar missed: {what}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
