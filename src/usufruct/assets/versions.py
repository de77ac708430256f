"""The assets and versions this home knows, in one SQLite file, with their manifests."""

from __future__ import annotations

import os
import sqlite3
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from pathlib import Path
from types import TracebackType

from usufruct.errors import AlreadyExists, BadInput, Damaged, NotAllowed, NotFound
from usufruct.evidence.content import MAX_MANIFEST_BYTES, Manifest
from usufruct.store import connect, transaction
from usufruct.types import Address, AssetId, AssetKind, AssetState, Digest

SHORTEST_PREFIX = 6

_SCHEMA = (
    """
    CREATE TABLE assets (
        id TEXT PRIMARY KEY,
        title TEXT NOT NULL,
        kind TEXT NOT NULL,
        owner TEXT NOT NULL,
        salt BLOB NOT NULL,
        state TEXT NOT NULL,
        created INTEGER NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX assets_by_title ON assets (title);
    CREATE TABLE versions (
        asset TEXT NOT NULL REFERENCES assets (id),
        number INTEGER NOT NULL CHECK (number > 0),
        content_root TEXT NOT NULL,
        statement TEXT NOT NULL,
        log_index INTEGER,
        source BLOB,
        sealed INTEGER NOT NULL,
        created INTEGER NOT NULL,
        PRIMARY KEY (asset, number)
    ) WITHOUT ROWID;
    CREATE INDEX versions_by_root ON versions (content_root);
    CREATE INDEX versions_by_statement ON versions (statement);
    CREATE INDEX versions_by_source ON versions (source);
    CREATE TABLE manifests (
        asset TEXT NOT NULL,
        number INTEGER NOT NULL,
        data BLOB NOT NULL,
        PRIMARY KEY (asset, number),
        FOREIGN KEY (asset, number) REFERENCES versions (asset, number)
    )
    """,
)
_NEXT: dict[AssetState, tuple[AssetState, ...]] = {
    AssetState.DRAFT: (AssetState.ACTIVE, AssetState.REVOKED),
    AssetState.ACTIVE: (AssetState.RETIRED, AssetState.REVOKED),
    AssetState.RETIRED: (AssetState.ACTIVE, AssetState.REVOKED),
    AssetState.REVOKED: (),
}
_ASSET = "id, title, kind, owner, salt, state, created"
_VERSION = "asset, number, content_root, statement, log_index, source, sealed, created"


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """An asset as this home knows it; `salt` 16 bytes, `created` in seconds since 1970."""

    id: AssetId
    title: str
    kind: AssetKind
    owner: Address
    salt: bytes
    state: AssetState
    created: int


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """A version as this home knows it.

    Parameters
    ----------
    asset, number
        Which; numbers count from 1.
    content_root
        Of its manifest.
    statement
        Digest of the statement that published it.
    log_index
        Where that statement stands in the owner's log; None before it does.
    source
        Where the data was when it was published, if it was here.
    sealed
        Whether the vault holds a sealed copy.
    created
        Seconds since 1970.
    """

    asset: AssetId
    number: int
    content_root: Digest
    statement: Digest
    log_index: int | None
    source: Path | None
    sealed: bool
    created: int


class AssetStore:
    """Assets, versions and manifests; safe to use from several threads.

    Parameters
    ----------
    path
        The database; made when missing.

    Raises
    ------
    Damaged
        Not an asset store, or written by a newer version.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._path = path
        self._connection = connect(
            path, schema=_SCHEMA, application="asset store", shared_between_threads=True
        )

    def add_asset(self, asset: AssetRecord) -> None:
        """Keep a new asset (AlreadyExists: its id is taken)."""
        with self._transaction() as connection:
            self._insert_asset(connection, asset)

    def add_version(
        self, version: VersionRecord, manifest: Manifest | None, *, asset: AssetRecord | None = None
    ) -> None:
        """Keep a new version, and its asset if that is new too, in one transaction.

        Parameters
        ----------
        asset
            Given with the first version of an asset that is not kept yet. A draft becomes
            active by its first version.

        Raises
        ------
        AlreadyExists
            The asset or version is there already.
        NotFound
            The asset is not here.
        NotAllowed
            The asset is revoked.
        BadInput
            The number does not follow the last one.
        """
        with self._transaction() as connection:
            if asset is not None:
                self._insert_asset(connection, asset)
            state = self._asset(connection, version.asset).state
            if state is AssetState.REVOKED:
                raise NotAllowed(f"the asset {version.asset} is revoked; nothing is added to it")
            last = self._last(connection, version.asset)
            if version.number <= last:
                raise AlreadyExists(f"version {version.number} of {version.asset} is there already")
            if version.number != last + 1:
                raise BadInput(f"the next version of {version.asset} is {last + 1}")
            source = None if version.source is None else os.fsencode(version.source)
            connection.execute(
                f"INSERT INTO versions ({_VERSION}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                (*astuple(version)[:5], source, int(version.sealed), version.created),
            )
            if manifest is not None:
                # digests do not shrink, only paths do: the fastest level is enough
                data = zlib.compress(manifest.to_bytes(), 1)
                connection.execute(
                    "INSERT INTO manifests VALUES (?, ?, ?)", (version.asset, version.number, data)
                )
            if state is AssetState.DRAFT:
                connection.execute(
                    "UPDATE assets SET state = ? WHERE id = ?", (AssetState.ACTIVE, version.asset)
                )

    def set_log_index(self, asset: AssetId, number: int, index: int) -> None:
        """Keep where a version's statement stands in the log (NotFound: no such version)."""
        with self._transaction() as connection:
            changed = connection.execute(
                "UPDATE versions SET log_index = ? WHERE asset = ? AND number = ?",
                (index, asset, number),
            )
            if not changed.rowcount:
                raise NotFound(f"there is no version {number} of {asset}")

    def set_state(self, asset: AssetId, state: AssetState) -> None:
        """Move an asset on in its life.

        Raises
        ------
        NotFound
            The asset is not here.
        NotAllowed
            The state cannot follow the one it is in; revoked is final.
        """
        with self._transaction() as connection:
            now = self._asset(connection, asset).state
            if state not in _NEXT[now]:
                raise NotAllowed(f"an asset that is {now} cannot become {state}")
            connection.execute("UPDATE assets SET state = ? WHERE id = ?", (state, asset))

    def find(self, text: str) -> AssetRecord:
        """Return the asset with this id, unique beginning of an id, or exact title.

        Raises
        ------
        NotFound
            None has it.
        BadInput
            Several have it.
        """
        prefix = text.lower().removeprefix("0x")
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {_ASSET} FROM assets WHERE title = ? LIMIT 3",  # noqa: S608
                (text,),
            ).fetchall()
            if not rows and SHORTEST_PREFIX <= len(prefix) <= 64 and _is_hex(prefix):
                rows = connection.execute(
                    f"SELECT {_ASSET} FROM assets WHERE id >= ? AND id < ? LIMIT 3",  # noqa: S608
                    (prefix, prefix + "g"),
                ).fetchall()
        if not rows:
            raise NotFound(
                f"there is no asset '{text}' here",
                hint=f"its id, at least {SHORTEST_PREFIX} digits of it, or its exact title; "
                "'usufruct asset list' shows them",
            )
        if len(rows) > 1:
            ids = ", ".join(row[0][:12] for row in rows)
            raise BadInput(
                f"several assets are '{text}': {ids}", hint="give more digits of the id you mean"
            )
        return self._read_asset(rows[0])

    def asset(self, asset: AssetId) -> AssetRecord:
        """Return the asset with exactly this id (NotFound)."""
        with self._transaction() as connection:
            return self._asset(connection, asset)

    def assets(self, *, kind: AssetKind | None = None) -> list[AssetRecord]:
        """Return all assets, oldest first."""
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {_ASSET} FROM assets WHERE ?1 IS NULL OR kind = ?1"  # noqa: S608
                " ORDER BY created, id",
                (kind,),
            ).fetchall()
        return [self._read_asset(row) for row in rows]

    def versions(self, asset: AssetId) -> list[VersionRecord]:
        """Return the versions of an asset, first to last; none for a draft (NotFound)."""
        self.asset(asset)
        return self._versions("asset = ? ORDER BY number", (asset,))

    def version(self, asset: AssetId, number: int | None = None) -> VersionRecord:
        """Return one version of an asset, the latest if no number is given (NotFound)."""
        found = self.versions(asset)
        if number is not None:
            found = [version for version in found if version.number == number]
        if not found:
            which = "a version yet" if number is None else f"a version {number}"
            raise NotFound(f"the asset {asset} has not got {which}")
        return found[-1]

    def by_content_root(self, root: Digest) -> list[VersionRecord]:
        """Return the versions with this content root, oldest first; often none."""
        return self._versions("content_root = ? ORDER BY created, asset, number", (root,))

    def by_statement(self, digest: Digest) -> list[VersionRecord]:
        """Return the versions that this statement published; one or none."""
        return self._versions("statement = ?", (digest,))

    def by_source(self, source: Path) -> list[VersionRecord]:
        """Return the versions published from this absolute path, oldest first."""
        return self._versions("source = ? ORDER BY created, asset, number", (os.fsencode(source),))

    def manifest(self, asset: AssetId, number: int) -> Manifest:
        """Return the manifest of a version.

        Raises
        ------
        NotFound
            It is not kept here.
        Damaged
            What is kept is not a manifest, or not the one of this version.
        """
        version = self.version(asset, number)
        with self._transaction() as connection:
            row = connection.execute(
                "SELECT data FROM manifests WHERE asset = ? AND number = ?", (asset, number)
            ).fetchone()
        if row is None:
            raise NotFound(f"the manifest of version {number} of {asset} is not kept here")
        where = f"the manifest of version {number} of {asset} in {self._path}"
        try:
            inflate = zlib.decompressobj()
            manifest = Manifest.from_bytes(inflate.decompress(row[0], MAX_MANIFEST_BYTES))
        except (zlib.error, BadInput, TypeError) as error:
            raise Damaged(f"{where} is damaged: {error}") from error
        if manifest.content_root.hex() != version.content_root:
            raise Damaged(f"{where} has another content root than its version")
        return manifest

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._connection.close()

    def __enter__(self) -> AssetStore:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock, transaction(self._connection) as connection:
            yield connection

    def _insert_asset(self, connection: sqlite3.Connection, asset: AssetRecord) -> None:
        if connection.execute("SELECT 1 FROM assets WHERE id = ?", (asset.id,)).fetchone():
            raise AlreadyExists(f"the asset {asset.id} is there already")
        connection.execute(
            f"INSERT INTO assets ({_ASSET}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            astuple(asset),
        )

    def _asset(self, connection: sqlite3.Connection, asset: AssetId) -> AssetRecord:
        row = connection.execute(
            f"SELECT {_ASSET} FROM assets WHERE id = ?",  # noqa: S608
            (asset,),
        ).fetchone()
        if row is None:
            raise NotFound(f"there is no asset {asset} here", hint="usufruct asset list")
        return self._read_asset(row)

    def _last(self, connection: sqlite3.Connection, asset: AssetId) -> int:
        row = connection.execute("SELECT max(number) FROM versions WHERE asset = ?", (asset,))
        return row.fetchone()[0] or 0

    def _versions(self, where: str, values: tuple[object, ...]) -> list[VersionRecord]:
        with self._transaction() as connection:
            rows = connection.execute(
                f"SELECT {_VERSION} FROM versions WHERE {where}",  # noqa: S608 fixed text
                values,
            ).fetchall()
        return [
            VersionRecord(
                AssetId(row[0]),
                row[1],
                Digest(row[2]),
                Digest(row[3]),
                row[4],
                None if row[5] is None else Path(os.fsdecode(row[5])),
                bool(row[6]),
                row[7],
            )
            for row in rows
        ]

    def _read_asset(self, row: tuple[str, str, str, str, bytes, str, int]) -> AssetRecord:
        try:
            return AssetRecord(
                AssetId(row[0]),
                row[1],
                AssetKind(row[2]),
                Address(row[3]),
                row[4],
                AssetState(row[5]),
                row[6],
            )
        except ValueError as error:
            raise Damaged(f"an asset in {self._path} is damaged: {error}") from error


def _is_hex(text: str) -> bool:
    return all(character in "0123456789abcdef" for character in text)
