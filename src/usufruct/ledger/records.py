"""What the index keeps: one row an event, so that undoing a block is deleting its rows."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from usufruct.errors import BadInput
from usufruct.ledger.answers import BadAnswer
from usufruct.ledger.bindings import anchors, assets, licences, parties, splits, tokens
from usufruct.ledger.market_index import LicenceRecord as LicenceRecord
from usufruct.ledger.market_index import OfferRecord as OfferRecord
from usufruct.ledger.market_index import PaymentRecord as PaymentRecord
from usufruct.ledger.market_index import PurchaseRecord as PurchaseRecord
from usufruct.ledger.market_index import SplitRecord as SplitRecord
from usufruct.ledger.market_records import (
    MARKET_SCHEMA,
    MARKET_TABLES,
    MARKET_TOPICS,
    keep_market,
)
from usufruct.ledger.network import Network
from usufruct.ledger.views import LogEntry
from usufruct.types import Address, AssetId, AssetKind, AssetState

MAX_TEXT: Final = 256
"""Bytes of a party's name or node address that are kept; strangers write them."""

SCHEMA: Final = (
    """
    CREATE TABLE facts (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE blocks (block INTEGER PRIMARY KEY, hash TEXT NOT NULL, time INTEGER NOT NULL);
    CREATE TABLE parties (
        block INTEGER, position INTEGER, tx TEXT, address TEXT, signing_key BLOB,
        encryption_key BLOB, name TEXT, node TEXT, PRIMARY KEY (block, position));
    CREATE INDEX parties_by_address ON parties (address, block, position);
    CREATE TABLE assets (
        block INTEGER, position INTEGER, tx TEXT, id TEXT PRIMARY KEY, creator TEXT, salt BLOB,
        kind TEXT, metadata BLOB, uri TEXT);
    CREATE TABLE owners (
        block INTEGER, position INTEGER, id TEXT, value TEXT, PRIMARY KEY (block, position));
    CREATE INDEX owners_by_asset ON owners (id, block, position);
    CREATE TABLE states (
        block INTEGER, position INTEGER, id TEXT, value TEXT, PRIMARY KEY (block, position));
    CREATE INDEX states_by_asset ON states (id, block, position);
    CREATE TABLE splits (
        block INTEGER, position INTEGER, id TEXT, value BLOB, PRIMARY KEY (block, position));
    CREATE INDEX splits_by_asset ON splits (id, block, position);
    CREATE TABLE versions (
        block INTEGER, position INTEGER, tx TEXT, id TEXT, version INTEGER, root BLOB,
        metadata BLOB, uri TEXT, PRIMARY KEY (id, version));
    CREATE TABLE parents (
        block INTEGER, id TEXT, place INTEGER, parent TEXT, PRIMARY KEY (id, place));
    CREATE INDEX parents_by_parent ON parents (parent);
    CREATE TABLE anchors (
        block INTEGER, position INTEGER, tx TEXT, sender TEXT, name BLOB, size TEXT, root BLOB,
        PRIMARY KEY (block, position));
    CREATE INDEX anchors_by_name ON anchors (sender, name, block, position)
    """,
    MARKET_SCHEMA,
)

TABLES: Final = (
    *("blocks", "parties", "assets", "owners", "states", "splits"),
    *("versions", "parents", "anchors"),
    *MARKET_TABLES,
)

TOPICS: Final = (
    parties.PARTY_REGISTERED.topic,
    anchors.ANCHORED.topic,
    assets.ASSET_REGISTERED.topic,
    assets.VERSION_PUBLISHED.topic,
    assets.SPLIT_FIXED.topic,
    assets.STATE_CHANGED.topic,
    assets.TRANSFER.topic,  # and that of tokens
    *MARKET_TOPICS,
)
"""First topics of the events that are kept."""

_DECODERS: Final[Mapping[str, Callable[..., Any]]] = {
    "Parties": parties.decode_event,
    "Anchors": anchors.decode_event,
    "Assets": assets.decode_event,
    "Splits": splits.decode_event,
    "Licences": licences.decode_event,
    "TestDollar": tokens.decode_event,
}
CONTRACTS: Final = tuple(_DECODERS)
"""The contracts whose events are kept, where the network has them."""


@dataclass(frozen=True, slots=True)
class PartyRecord:
    """A party's entry as it last registered; `timestamp` in seconds since 1970."""

    address: Address
    signing_key: bytes
    encryption_key: bytes
    name: str
    node: str
    block: int
    timestamp: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class AssetRecord:
    """An asset as it stands; `latest_root` is None for a draft."""

    asset: AssetId
    creator: Address
    owner: Address
    kind: AssetKind
    state: AssetState
    versions: int
    latest_root: bytes | None
    split_hash: bytes
    metadata: bytes
    uri: str
    salt: bytes
    block: int
    timestamp: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """One version of an asset."""

    asset: AssetId
    version: int
    root: bytes
    metadata: bytes
    uri: str
    block: int
    timestamp: int
    tx_hash: str


@dataclass(frozen=True, slots=True)
class AnchorRecord:
    """One anchored head of a log; `name` is keccak256 of the log's origin."""

    sender: Address
    name: bytes
    size: int
    root: bytes
    block: int
    timestamp: int
    tx_hash: str


def places(network: Network) -> dict[str, Address]:
    """Return where the contracts stand whose events are kept."""
    return {name: network.address(name) for name in CONTRACTS if name in network.contracts}


def keep(connection: sqlite3.Connection, network: Network, log: LogEntry) -> None:
    """Write the rows of one log.

    Raises
    ------
    BadAnswer
        No contract of the network could have emitted this log, or one before it is missing.
    """
    event = _decode(network, log)
    at = (log.block_number, log.position)
    write = connection.execute
    if isinstance(event, parties.PartyRegistered):
        node = event.node if len(event.node.encode()) <= MAX_TEXT else ""
        row = (event.party, event.signing_key, event.encryption_key, _capped(event.name), node)
        write("INSERT INTO parties VALUES (?,?,?, ?,?,?,?,?)", (*at, log.tx_hash, *row))
    elif isinstance(event, anchors.Anchored):
        size = str(event.size)  # SQLite's integers end at 2^63
        anchored = (event.sender, event.name, size, event.root)
        write("INSERT INTO anchors VALUES (?,?,?, ?,?,?,?)", (*at, log.tx_hash, *anchored))
    elif isinstance(event, assets.AssetRegistered):
        if assets.asset_id(event.owner, event.salt) != event.asset or _known(write, event.asset):
            raise BadAnswer("an asset that no contract can have registered")
        made = (event.asset, event.owner, event.salt, event.kind, event.metadata, event.uri)
        write("INSERT INTO assets VALUES (?,?,?, ?,?,?,?,?,?)", (*at, log.tx_hash, *made))
        write("INSERT INTO states VALUES (?,?,?,?)", (*at, event.asset, AssetState.DRAFT))
        write("INSERT INTO splits VALUES (?,?,?,?)", (*at, event.asset, event.split_hash))
        for place, parent in enumerate(event.parents):
            write("INSERT INTO parents VALUES (?,?,?,?)", (at[0], event.asset, place, parent))
    elif isinstance(event, assets.Transfer):
        write("INSERT INTO owners VALUES (?,?,?,?)", (*at, event.asset, event.receiver))
    elif not keep_market(write, network, log, event):
        _keep_change(write, at, log.tx_hash, event)


def _keep_change(write: Callable[..., Any], at: tuple[int, int], tx: str, event: Any) -> None:
    if not _known(write, event.asset):
        raise BadAnswer(f"events of the asset {event.asset} without its registration")
    if isinstance(event, assets.SplitFixed):
        write("INSERT INTO splits VALUES (?,?,?,?)", (*at, event.asset, event.split_hash))
    elif isinstance(event, assets.StateChanged):
        write("INSERT INTO states VALUES (?,?,?,?)", (*at, event.asset, event.state))
    else:
        (count,) = write("SELECT COUNT(*) FROM versions WHERE id = ?", (event.asset,)).fetchone()
        if event.version != count + 1:
            raise BadAnswer(f"version {event.version} of an asset after version {count}")
        version = (event.asset, event.version, event.root, event.metadata, event.uri)
        write("INSERT INTO versions VALUES (?,?,?, ?,?,?,?,?)", (*at, tx, *version))
        if event.version == 1:  # the first version makes a draft active
            write("INSERT INTO states VALUES (?,?,?,?)", (*at, event.asset, AssetState.ACTIVE))


def _decode(network: Network, log: LogEntry) -> Any:
    for name, place in places(network).items():
        if place == log.address:
            try:
                event = _DECODERS[name](log.topics, log.data)
            except BadInput as error:
                raise BadAnswer(f"an event of {name} that does not decode") from error
            if event is None:
                break
            return event
    raise BadAnswer("an event that the contract cannot have emitted")


def _known(write: Callable[..., Any], asset: AssetId) -> bool:
    return write("SELECT 1 FROM assets WHERE id = ?", (asset,)).fetchone() is not None


def _capped(text: str) -> str:
    return text.encode()[:MAX_TEXT].decode("utf-8", "ignore")
