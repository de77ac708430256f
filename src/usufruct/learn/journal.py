"""A federation's memory on disk: what survives ``kill -9`` between any two instructions.

``start.json`` holds the start; ``round-000001.ckpt`` a round's record, model and updates, written
whole before the round is announced to anybody; ``committed`` the last round that was announced.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from usufruct.crypto import canonical
from usufruct.errors import BadInput, Damaged, NotFound
from usufruct.learn._numpy import Vector, np, vector, vector_bytes
from usufruct.learn.parties import Update
from usufruct.learn.records import Round, Start
from usufruct.store import HomeLock, make_folder, read_bytes, remove, write_atomic
from usufruct.store.atomic import TEMPORARY

__all__ = ["Checkpoint", "RoundJournal"]

MAGIC = b"usufruct/checkpoint/v1\n"
MAX_BYTES = 2**31
MAX_SIGNATURE = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class Checkpoint:
    """A finished round: its record, the model it made, the updates it was made of."""

    round: Round
    weights: Vector
    updates: tuple[Update, ...]

    def to_bytes(self) -> bytes:
        """Return magic, length (u64) and canonical JSON of the record, float64s, SHA-256 over all.

        The float64s, little endian: the model, then each update in the record's order.
        """
        head = canonical.dumps(
            {
                "round": self.round.to_dict(),
                "size": int(self.weights.size),
                "signatures": [u.signature.hex() for u in self.updates],
            }
        )
        body = b"".join(
            (
                MAGIC,
                len(head).to_bytes(8),
                head,
                vector_bytes(self.weights),
                *(vector_bytes(u.weights) for u in self.updates),
            )
        )
        return body + hashlib.sha256(body).digest()

    @classmethod
    def from_bytes(cls, data: bytes) -> Checkpoint:
        """Return what `to_bytes` wrote.

        Raises
        ------
        Damaged
            Cut short, changed, or of another format.
        """
        body, digest = data[:-32], data[-32:]
        if not body.startswith(MAGIC) or hashlib.sha256(body).digest() != digest:
            raise Damaged("a checkpoint is not what was written")
        at = len(MAGIC) + 8
        length = int.from_bytes(body[at - 8 : at])
        try:
            head = canonical.loads(body[at : at + length])
            record = Round.from_dict(head["round"])
            size, signatures = head["size"], [bytes.fromhex(s) for s in head["signatures"]]
            numbers = np.frombuffer(body[at + length :], dtype="<f8")
            if numbers.size != size * (1 + len(record.updates)):
                raise Damaged("a checkpoint has another size than it says")
            rows = [vector(row, "weights") for row in numbers.reshape(-1, size)]
            updates = tuple(
                Update(ref.party, weights, ref.weight, signature)
                for ref, weights, signature in zip(
                    record.updates, rows[1:], signatures, strict=True
                )
            )
        except (BadInput, KeyError, TypeError, ValueError) as error:
            raise Damaged(f"a checkpoint cannot be read: {error}") from None
        return cls(record, rows[0], updates)


class RoundJournal:
    """The folder of one federation; opened by one process at a time.

    Parameters
    ----------
    folder
        Made when absent.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock: HomeLock | None = None

    def __enter__(self) -> RoundJournal:
        """Take the folder; `HomeBusy` when another process has it."""
        make_folder(self.folder)
        self._lock = HomeLock(self.folder / "lock").acquire()
        for left in self.folder.glob(f"{TEMPORARY}*"):
            remove(left)  # half-written by a process that was killed
        return self

    def __exit__(self, *_: object) -> None:
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    def begin(self, start: Start) -> None:
        """Write the start durably; it stands before any round."""
        write_atomic(self.folder / "start.json", canonical.dumps(start.to_dict()))

    def start(self) -> Start | None:
        """Return the start, or None when nothing has begun.

        Raises
        ------
        Damaged
            The file is not what was written.
        """
        try:
            data = read_bytes(self.folder / "start.json", limit=MAX_BYTES)
        except NotFound:
            return None
        try:
            return Start.from_dict(canonical.loads(data))
        except BadInput as error:
            raise Damaged(f"{self.folder / 'start.json'}: {error}") from None

    def save(self, checkpoint: Checkpoint) -> None:
        """Write a round durably, before it is announced."""
        write_atomic(self._path(checkpoint.round.number), checkpoint.to_bytes())

    def commit(self, number: int) -> None:
        """Write durably that round `number` was announced."""
        write_atomic(self.folder / "committed", b"%d\n" % number)

    @property
    def committed(self) -> int:
        """The last round that was announced, 0 for none."""
        try:
            text = read_bytes(self.folder / "committed", limit=32)
        except NotFound:
            return 0
        if not text[:-1].isdigit() or text[-1:] != b"\n":
            raise Damaged(f"{self.folder / 'committed'} is not what was written")
        return int(text)

    def load(self, number: int) -> Checkpoint | None:
        """Return a round that was saved, or None.

        Raises
        ------
        Damaged
            The file is not what was written, or holds another round.
        """
        path = self._path(number)
        try:
            checkpoint = Checkpoint.from_bytes(read_bytes(path, limit=MAX_BYTES))
        except NotFound:
            return None
        except Damaged as error:
            raise Damaged(f"{path}: {error}") from None
        if checkpoint.round.number != number:
            raise Damaged(f"{path} holds round {checkpoint.round.number}")
        return checkpoint

    def _path(self, number: int) -> Path:
        return self.folder / f"round-{number:06d}.ckpt"
