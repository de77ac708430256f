"""Keeps the engine equal to the journal: opens, replays, mines, saves and restores its state.

The engine remembers nothing of its own. It is filled from a saved state (if a whole one is
there) and the journal's blocks after it, and every block hash is compared with the journal's.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usufruct.errors import Damaged, EngineDied, NotFound, UsufructError
from usufruct.ledger.binary import VERSION
from usufruct.ledger.genesis import genesis_digest
from usufruct.ledger.journal import Journal, JournalBlock
from usufruct.ledger.supervisor import Supervisor
from usufruct.ledger.transport import RpcError
from usufruct.store import read_bytes, remove, write_atomic

_STATE_FORMAT = b"usufruct/engine-state/v1 "
_STATE_LIMIT = 16 * 1024**3
_STATE_HINT = (
    "restore the whole folder from one backup; deleting the file engine-state goes on without "
    "the missing transactions"
)


class ForeignTransaction(Damaged):
    """The engine holds something that is not in the journal: somebody else drives it."""


@dataclass(frozen=True, slots=True)
class Mined:
    """What became of a journaled block.

    Parameters
    ----------
    number, hash
        Of the block; `hash` is None if the engine took none of it and nothing was mined.
    dropped
        By transaction hash, why the engine refused it.
    """

    number: int
    hash: bytes | None
    dropped: dict[bytes, str]


class Replica:
    """The supervised engine at the journal's height.

    All methods belong to one thread, the one that starts the engine (see `supervisor`).

    Parameters
    ----------
    folder
        Holds ``run`` (the engine's own folder) and ``engine-state``.
    dump_every
        Save the engine's state when so many transactions follow the last saved one, and when
        they are more than a quarter of all: saving costs in proportion to the whole history.
    """

    def __init__(
        self,
        folder: Path,
        journal: Journal,
        genesis: dict[str, Any],
        binary: Path,
        *,
        dump_every: int,
        isolate: bool,
    ) -> None:
        self._folder = folder
        self._journal = journal
        self._genesis = genesis
        self._digest = genesis_digest(genesis).hex()
        self._binary = binary
        self._dump_every = dump_every
        self._isolate = isolate
        self._dumped = self._dumped_count = 0
        self._head: dict[str, Any] = {}
        self.engine: Supervisor | None = None

    @property
    def base_fee(self) -> int:
        """The next block's base fee in wei a gas (EIP-1559)."""
        fee, used, limit = (
            int(self._head[key], 16) for key in ("baseFeePerGas", "gasUsed", "gasLimit")
        )
        target = limit // 2
        if used == target:
            return fee
        if used > target:
            return fee + max(fee * (used - target) // target // 8, 1)
        return fee - fee * (target - used) // target // 8

    def start(self) -> Mined | None:
        """Start the engine and bring it to the journal's height.

        Returns
        -------
        Mined or None
            What became of the journal's last block, if it had not been mined before.

        Raises
        ------
        EngineDied
            It does not start or stops on the way.
        Damaged
            Journal and engine disagree.
        """
        state = self._read_state()
        if state is not None:
            try:
                return self._fill(state)
            except Damaged:  # a saved state is only a short cut; the journal decides
                pass
        return self._fill(None)

    def restart(self) -> Mined | None:
        """Start again after the engine died; one more death is forgiven. See :meth:`start`."""
        try:
            return self.start()
        except EngineDied:
            return self.start()

    def stop(self) -> None:
        """Kill the engine."""
        if self.engine is not None:
            self.engine.stop()
            self.engine = None

    def apply(self, block: JournalBlock) -> Mined:
        """Give a journaled block to the engine and have it mined.

        Raises
        ------
        EngineDied
            The engine stopped; :meth:`restart` finishes the block.
        ForeignTransaction
            The engine holds a transaction or block that is not in the journal.
        """
        engine = self._running()
        live = [entry for entry in block.entries if entry.dropped is None]
        answers = engine.request_many(
            [("eth_sendRawTransaction", ["0x" + entry.raw.hex()]) for entry in live]
        )
        dropped, expected = {}, {}
        for entry, answer in zip(live, answers, strict=True):
            if isinstance(answer, RpcError):
                dropped[entry.hash] = answer.message
            elif answer != "0x" + entry.hash.hex():
                raise Damaged(f"block {block.number} of the journal has a wrong transaction hash")
            else:
                expected[answer] = entry.hash
        if not expected and block.hash is None:
            return Mined(block.number, None, dropped)
        engine.request("evm_setNextBlockTimestamp", [block.timestamp])
        engine.request("evm_mine", [])
        head = engine.request("eth_getBlockByNumber", ["latest", False])
        found = set(head["transactions"])
        if (
            found - expected.keys()
            or int(head["number"], 16) != block.number
            or head["parentHash"] != self._head["hash"]
        ):
            raise ForeignTransaction(
                f"block {block.number} of the engine holds what is not in the journal: "
                "another program drives the engine",
                hint="find and stop that program; opening the ledger again removes what it did",
            )
        for missing in expected.keys() - found:
            engine.request("anvil_dropTransaction", [missing])
            dropped[expected[missing]] = "the engine left it out of the block"
        self._head = head
        return Mined(block.number, bytes.fromhex(head["hash"][2:]), dropped)

    def settle(self, mined: Mined) -> None:
        """Write down what became of the journal's last block."""
        if mined.hash is None:
            self._journal.withdraw()
        else:
            self._journal.seal(mined.number, mined.hash, mined.dropped)

    def save_if_due(self, *, least: int | None = None) -> None:
        """Save the engine's state if enough transactions were mined since the last time."""
        total = self._journal.transactions
        if total - self._dumped_count >= (least or max(self._dump_every, total // 4)):
            self._save_state()

    def _fill(self, state: tuple[int, bytes] | None) -> Mined | None:
        self.stop()
        engine = self.engine = Supervisor(
            self._binary, self._folder / "run", self._genesis, isolate=self._isolate
        )
        first = engine.request("eth_getBlockByNumber", ["0x0", False])
        known = self._journal.fact("genesis hash")
        if known is None:
            self._journal.remember("genesis hash", first["hash"])
        elif known != first["hash"]:
            raise Damaged(
                "the engine makes another first block than the one this ledger began with",
                hint="open the ledger with the version of usufruct that wrote it",
            )
        self._head, self._dumped, self._dumped_count = first, 0, 0
        if state is not None:
            self._load_state(engine, *state)
        return self._replay()

    def _replay(self) -> Mined | None:
        mined = None
        for block in self._journal.blocks(self._dumped + 1):
            mined = self.apply(block)
            if block.hash is None:
                self.settle(mined)
            elif block.hash != mined.hash or mined.dropped:
                raise Damaged(
                    f"block {block.number} of the ledger comes out different when replayed",
                    hint="keep a copy of the ledger's folder and restore it from a backup",
                )
            else:
                mined = None
        return mined

    def _load_state(self, engine: Supervisor, height: int, data: bytes) -> None:
        try:
            engine.request("anvil_loadState", ["0x" + data.hex()])
            head = engine.request("eth_getBlockByNumber", ["latest", False])
        except RpcError as error:
            raise Damaged(f"the saved state cannot be loaded: {error.message}") from error
        expected = self._journal.block_hash(height)
        if expected is None or head["hash"] != "0x" + expected.hex():
            raise Damaged("the saved state is of another block")
        self._head, self._dumped = head, height
        self._dumped_count = self._journal.transactions - self._journal.count(height)

    def _save_state(self) -> None:
        height = self._journal.height
        data = bytes.fromhex(self._running().request("anvil_dumpState", [])[2:])
        header = {"engine": VERSION, "genesis": self._digest, "height": height}
        body = json.dumps(header, sort_keys=True).encode("ascii") + b"\n" + data
        digest = hashlib.sha256(body).hexdigest().encode("ascii")
        write_atomic(self._state_path, _STATE_FORMAT + digest + b"\n" + body)
        self._dumped, self._dumped_count = height, self._journal.transactions

    def _read_state(self) -> tuple[int, bytes] | None:
        """Return height and data of the saved state, or None if there is no whole one."""
        try:
            whole = read_bytes(self._state_path, limit=_STATE_LIMIT)
        except NotFound:
            return None
        except UsufructError:
            whole = b""
        top, _, body = whole.partition(b"\n")
        header_line, _, data = body.partition(b"\n")
        if top != _STATE_FORMAT + hashlib.sha256(body).hexdigest().encode("ascii"):
            with contextlib.suppress(OSError):
                remove(self._state_path)
            return None
        header = json.loads(header_line)
        if header["engine"] != VERSION or header["genesis"] != self._digest:
            return None
        if header["height"] > self._journal.height:
            raise Damaged(
                f"the ledger's journal ends at block {self._journal.height}, but the engine's "
                f"state of block {header['height']} was saved: transactions are missing",
                hint=_STATE_HINT,
            )
        return header["height"], data

    @property
    def _state_path(self) -> Path:
        return self._folder / "engine-state"

    def _running(self) -> Supervisor:
        if self.engine is None:
            raise EngineDied("the EVM engine does not run", hint="try again")
        return self.engine
