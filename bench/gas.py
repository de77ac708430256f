#!/usr/bin/env python3
"""What our contracts cost in gas, measured on the engine, beside what peers were measured at.

Run from a checkout: ``python bench/gas.py [--json]``. Ours is ``gasUsed`` of real transactions,
each in its own block, with arguments of the usual length. The bars and the peers' figures are
quoted from the project's design and not measured here.
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

from tests.contracts.evm import Contracts, Evm, running_evm

from usufruct.ledger.bindings import anchors, assets, parties
from usufruct.ledger.bindings.calls import Call
from usufruct.types import AssetKind, AssetState

URI = "https://node.example/assets/0123456789abcdef"
SALTS = tuple(bytes([n]) * 16 for n in range(1, 8))
ROOTS = tuple(bytes([n]) * 32 for n in range(1, 8))

EAS = "EAS 191,000 a statement"
OCEAN = "Ocean 1,628,000 in 2 transactions"


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
        f"bar with one offer 220,000; {OCEAN}",
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


def main() -> int:
    """Measure, print, and return 1 if a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    as_json = parser.parse_args().json
    with running_evm() as evm:
        rows = measure(evm, evm.deploy_all())
    missed = [row for row in rows if row.bar is not None and row.gas > row.bar]
    if as_json:
        print(json.dumps({"gas": [asdict(row) for row in rows], "bars_met": not missed}, indent=1))
    else:
        width = max(len(row.what) for row in rows)
        print(f"{'':{width}}     ours       bar  peer (quoted from the design, not measured here)")
        for row in rows:
            bar = f"{row.bar:>9,}" if row.bar is not None else " " * 9
            print(f"{row.what:{width}}  {row.gas:>7,} {bar}  {row.peer}".rstrip())
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
