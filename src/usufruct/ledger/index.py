"""A local copy of the ledger's events, to be asked without a network; a throw-away cache.

Events are read in windows of blocks. A window's rows, its block hashes and the cursor are
written in one transaction; blocks that the ledger gave up are undone before anything is added.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from usufruct.crypto import canonical
from usufruct.crypto.hash import sha256
from usufruct.errors import Damaged, NotFound
from usufruct.ledger import records
from usufruct.ledger.answers import BadAnswer, TooMany
from usufruct.ledger.bindings.anchors import log_name
from usufruct.ledger.market_index import MarketQueries
from usufruct.ledger.network import Network
from usufruct.ledger.reader import Reader
from usufruct.ledger.records import AnchorRecord, AssetRecord, PartyRecord, VersionRecord
from usufruct.ledger.transport import RpcError
from usufruct.ledger.views import Block, LogEntry
from usufruct.store import connect, transaction
from usufruct.types import Address, AssetId, AssetKind, AssetState, parse_address, parse_digest

_APPLICATION: Final = "index"
_FIRST_WINDOW = 500
_LARGEST_WINDOW = 10_000
_FEW_LOGS = 2_000
_STEP_BACK = 50
_MOVES = 8

_LATEST = "(SELECT value FROM {0} o WHERE o.id = a.id ORDER BY o.block DESC, position DESC LIMIT 1)"
_ASSETS = f"""
    SELECT a.id, a.creator, {_LATEST.format("owners")}, a.kind, {_LATEST.format("states")},
        (SELECT COUNT(*) FROM versions v WHERE v.id = a.id),
        (SELECT root FROM versions v WHERE v.id = a.id ORDER BY version DESC LIMIT 1),
        {_LATEST.format("splits")}, a.metadata, a.uri, a.salt, a.block, b.time, a.tx
    FROM assets a JOIN blocks b ON b.block = a.block"""  # noqa: S608 - constants only
_PARTIES = """
    SELECT p.address, p.signing_key, p.encryption_key, p.name, p.node, p.block, b.time, p.tx
    FROM parties p JOIN blocks b ON b.block = p.block
    WHERE NOT EXISTS (
        SELECT 1 FROM parties q WHERE q.address = p.address
        AND (q.block, q.position) > (p.block, p.position))"""
_VERSIONS = """
    SELECT v.id, v.version, v.root, v.metadata, v.uri, v.block, b.time, v.tx
    FROM versions v JOIN blocks b ON b.block = v.block"""
_ANCHORS = """
    SELECT a.sender, a.name, a.size, a.root, a.block, b.time, a.tx
    FROM anchors a JOIN blocks b ON b.block = a.block"""


@dataclass(frozen=True, slots=True)
class Synced:
    """What :meth:`Index.sync` did.

    Parameters
    ----------
    block
        The newest block that is indexed, -1 if none.
    events
        How many events were added.
    undone
        How many blocks' rows were undone because the ledger gave the blocks up.
    """

    block: int
    events: int
    undone: int


class _Moved(Exception):
    """The chain changed while a window was read."""


class Index(MarketQueries):
    """The index of one network; safe to use from many threads.

    Parameters
    ----------
    path
        The SQLite file. A damaged one is made anew: everything in it can be read again.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._connection = _open(path)
        self._window = _FIRST_WINDOW

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._connection.close()

    def sync(self, ledger: Reader) -> Synced:
        """Read what happened since the last time, up to the newest block.

        Raises
        ------
        LedgerUnreachable
            The endpoint does not answer, or answers nonsense (:class:`BadAnswer`); whole
            windows before that are kept, the broken one is not.
        RpcError
            The endpoint refuses even a single block's logs.
        """
        with self._lock:
            self._bind(ledger.network)
            events = undone = moves = 0
            while True:
                try:
                    undone += self._undo(ledger)
                    added = self._advance(ledger)
                except _Moved:
                    moves += 1
                    if moves > _MOVES:
                        raise BadAnswer("blocks that change each time they are read") from None
                    continue
                if added is None:
                    return Synced(self._cursor(), events, undone)
                events += added

    def party(self, address: str) -> PartyRecord | None:
        """Return a party's present entry, None if it never registered."""
        found = self._rows(_PARTIES + " AND p.address = ?", parse_address(address))
        return _party(found[0]) if found else None

    def parties(self) -> list[PartyRecord]:
        """Return all parties, the longest unchanged first."""
        return [_party(row) for row in self._rows(_PARTIES + " ORDER BY p.block, p.position")]

    def asset(self, asset: str) -> AssetRecord | None:
        """Return an asset as it stands, None if there is none."""
        found = self._rows(_ASSETS + " WHERE a.id = ?", parse_digest(asset))
        return _asset(found[0]) if found else None

    def assets(self) -> list[AssetRecord]:
        """Return all assets, oldest first."""
        return [_asset(row) for row in self._rows(_ASSETS + " ORDER BY a.block, a.position")]

    def versions(self, asset: str) -> list[VersionRecord]:
        """Return an asset's versions, oldest first."""
        query = _VERSIONS + " WHERE v.id = ? ORDER BY v.version"
        return [VersionRecord(*row) for row in self._rows(query, parse_digest(asset))]

    def parents(self, asset: str) -> list[AssetId]:
        """Return what an asset was registered as made from, in ascending order."""
        query = "SELECT parent FROM parents WHERE id = ? ORDER BY place"
        return [AssetId(row[0]) for row in self._rows(query, parse_digest(asset))]

    def children(self, asset: str) -> list[AssetId]:
        """Return the assets that name this one as a parent, oldest first."""
        query = """SELECT p.id FROM parents p JOIN assets a ON a.id = p.id WHERE p.parent = ?
            ORDER BY a.block, a.position"""
        return [AssetId(row[0]) for row in self._rows(query, parse_digest(asset))]

    def anchors(self, account: str, origin: str) -> list[AnchorRecord]:
        """Return the anchored heads of an account's log, oldest first."""
        query = _ANCHORS + " WHERE a.sender = ? AND a.name = ? ORDER BY a.block, a.position"
        return [_anchor(row) for row in self._rows(query, parse_address(account), log_name(origin))]

    def anchor_head(self, account: str, origin: str) -> AnchorRecord | None:
        """Return the newest anchored head of an account's log, None if there is none."""
        query = _ANCHORS + " WHERE a.sender = ? AND a.name = ?"
        query += " ORDER BY a.block DESC, a.position DESC LIMIT 1"
        found = self._rows(query, parse_address(account), log_name(origin))
        return _anchor(found[0]) if found else None

    def _bind(self, network: Network) -> None:
        """Empty the index if it is another network's."""
        described = {key: network.to_dict()[key] for key in ("chain_id", "genesis_hash")}
        facts = described | {
            "contracts": records.places(network),
            "start_block": network.start_block,
        }
        name = sha256(canonical.dumps(facts)).hex()
        if self._fact("network") == name:
            return
        with transaction(self._connection) as connection:
            for table in records.TABLES:
                connection.execute(f"DELETE FROM {table}")  # noqa: S608 - our own names
            self._set("network", name)
            self._set("cursor", str(network.start_block - 1))

    def _undo(self, ledger: Reader) -> int:
        """Delete the rows of blocks that the ledger gave up; how many blocks those were."""
        query = "SELECT block, hash FROM blocks ORDER BY block DESC LIMIT ? OFFSET ?"
        good, start, step = ledger.network.start_block - 1, 0, 1
        while rows := self._rows(query, step, start):
            found = ledger.blocks([number for number, _ in rows])
            same = [
                number
                for (number, digest), block in zip(rows, found, strict=True)
                if block is not None and block.hash == digest
            ]
            if same:
                good = max(same)
                break
            start, step = start + step, _STEP_BACK
        gone = int(self._rows("SELECT COUNT(*) FROM blocks WHERE block > ?", good)[0][0])
        if gone:
            with transaction(self._connection) as connection:
                for table in records.TABLES:
                    connection.execute(
                        f"DELETE FROM {table} WHERE block > ?",  # noqa: S608 - our own names
                        (good,),
                    )
                self._set("cursor", str(good))
        return gone

    def _advance(self, ledger: Reader) -> int | None:
        """Add one window and return how many events it had; None when there is no more."""
        cursor, newest = self._cursor(), ledger.block("latest").number
        if cursor >= newest:
            return None
        last = min(cursor + self._window, newest)
        try:
            logs, blocks = self._fetch(ledger, cursor, last)
        except (RpcError, TooMany):
            if last == cursor + 1:
                raise
            self._window = max((last - cursor) // 2, 1)
            return 0
        with transaction(self._connection) as connection:
            connection.executemany(
                "INSERT OR REPLACE INTO blocks VALUES (?,?,?)",
                [(block.number, block.hash, block.timestamp) for block in blocks],
            )
            for log in logs:
                records.keep(connection, ledger.network, log)
            self._set("cursor", str(last))
        if len(logs) < _FEW_LOGS:
            self._window = min(2 * self._window, _LARGEST_WINDOW)
        return len(logs)

    def _fetch(
        self, ledger: Reader, cursor: int, last: int
    ) -> tuple[Sequence[LogEntry], list[Block]]:
        """Return the logs after `cursor` and their blocks, all of one and the same chain."""
        try:
            before = ledger.block(last)
        except NotFound:
            raise _Moved from None
        places = list(records.places(ledger.network).values())
        logs = ledger.logs(places, cursor + 1, last, topics=records.TOPICS)
        numbers = sorted({log.block_number for log in logs} | {cursor + 1, last})
        found = dict(zip(numbers, ledger.blocks(numbers), strict=True))
        blocks = [block for block in found.values() if block is not None]
        known = self._rows("SELECT hash FROM blocks WHERE block = ?", cursor)
        hashes = {block.number: block.hash for block in blocks}
        first = found[cursor + 1]
        if (
            len(blocks) != len(numbers)
            or hashes[last] != before.hash
            or any(hashes[log.block_number] != log.block_hash for log in logs)
            or (known and first is not None and first.parent_hash != known[0][0])
        ):
            raise _Moved
        return logs, blocks

    def _cursor(self) -> int:
        return int(self._fact("cursor") or -1)

    def _fact(self, key: str) -> str | None:
        found = self._rows("SELECT value FROM facts WHERE key = ?", key)
        return str(found[0][0]) if found else None

    def _set(self, key: str, value: str) -> None:
        self._connection.execute("INSERT OR REPLACE INTO facts VALUES (?,?)", (key, value))

    def _rows(self, query: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._connection.execute(query, values).fetchall()
        except sqlite3.Error as error:
            raise Damaged(
                f"the index cannot be read: {error}",
                hint="delete index.sqlite; it is read from the ledger again",
            ) from error


def _open(path: Path) -> sqlite3.Connection:
    for attempt in range(2):
        try:
            return connect(
                path,
                schema=records.SCHEMA,
                application=_APPLICATION,
                durable=False,
                shared_between_threads=True,
            )
        except Damaged:
            if attempt:
                raise
            for name in (path.name, path.name + "-wal", path.name + "-shm"):
                with contextlib.suppress(FileNotFoundError):
                    path.with_name(name).unlink()
    raise AssertionError("unreachable")


def _party(row: Any) -> PartyRecord:
    return PartyRecord(Address(row[0]), *row[1:])


def _asset(row: Any) -> AssetRecord:
    asset, creator, owner, kind, state, *rest = row
    return AssetRecord(asset, creator, owner or creator, AssetKind(kind), AssetState(state), *rest)


def _anchor(row: Any) -> AnchorRecord:
    sender, name, size, *rest = row
    return AnchorRecord(sender, name, int(size), *rest)
