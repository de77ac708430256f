"""Training and test rows, drawn the same way everywhere: stratified, seeded, exact in size."""

from __future__ import annotations

import hashlib

from usufruct.errors import BadInput
from usufruct.learn._numpy import Vector, np
from usufruct.learn.tables import Table

__all__ = ["shuffled", "split_rows", "split_table"]


def shuffled(count: int, *labels: str | int) -> list[int]:
    """Return 0..count-1 in an order that only the labels decide.

    The order comes from the raw stream of PCG64 under a SHA-256 seed and a stable sort, because
    NumPy keeps that stream the same in all versions and its ``shuffle`` not.
    """
    text = "\0".join(str(label) for label in labels)
    seed = int.from_bytes(hashlib.sha256(b"usufruct/shuffle/v1\0" + text.encode()).digest())
    keys = np.random.PCG64(seed).random_raw(count)
    return [int(i) for i in np.argsort(keys, kind="stable")]


def split_rows(target: Vector, test: int, *, seed: int, label: str) -> tuple[list[int], list[int]]:
    """Return the positions of training and test rows, each ascending.

    Each class gives its share of the `test` rows, by largest remainder.

    Parameters
    ----------
    target
        Classes, shape (rows,).
    test
        How many rows to hold out, 1 to rows - 1.
    seed, label
        Decide the draw; the label is the party, so that parties draw independently.

    Raises
    ------
    BadInput
        `test` leaves no row on one side.
    """
    total = int(target.size)
    if not 0 < test < total:
        raise BadInput(f"cannot hold out {test} of {total} rows")
    classes = sorted({float(v) for v in target})
    members = {c: [i for i in range(total) if target[i] == c] for c in classes}
    quota = {c: divmod(test * len(members[c]), total) for c in classes}
    left = test - sum(whole for whole, _ in quota.values())
    order = sorted(classes, key=lambda c: (-quota[c][1], c))
    take = {c: quota[c][0] + (1 if c in order[:left] else 0) for c in classes}
    held: set[int] = set()
    for c in classes:
        drawn = shuffled(len(members[c]), "split", seed, label, repr(c))
        held.update(members[c][i] for i in drawn[: take[c]])
    return [i for i in range(total) if i not in held], sorted(held)


def split_table(table: Table, test: int, *, seed: int, label: str) -> tuple[Table, Table]:
    """Return the training and the test table; see `split_rows`."""
    train, held = split_rows(table.target, test, seed=seed, label=label)
    return table.take(train), table.take(held)
