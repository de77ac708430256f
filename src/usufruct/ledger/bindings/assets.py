"""The contract Assets: what a party owns and others use, as ERC-721 tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from usufruct.errors import BadInput
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import Call, EventLayout, View, by_topic, decode_with
from usufruct.ledger.bindings.layout import Layout
from usufruct.types import ZERO_ADDRESS, Address, AssetId, AssetKind, AssetState

MAX_PARENTS: Final = 32
MAX_URI: Final = 1024
ZERO32: Final = bytes(32)

_KINDS = tuple(AssetKind)
_STATES = tuple(AssetState)

_REGISTER = bytes.fromhex("03c80ceb")
_REGISTER_LAYOUT = Layout("bytes16", "uint8", "bytes32", "asset[]", "bytes32", "string")
_REGISTER_WITH_TERMS = bytes.fromhex("0931e3e4")
_REGISTER_WITH_TERMS_LAYOUT = Layout(*_REGISTER_LAYOUT.types, "bytes")
_PUBLISH = bytes.fromhex("2384d6b2")
_PUBLISH_LAYOUT = Layout("encoded", "bytes")
_PUBLISH_ARGS = Layout(
    "asset", "bytes16", "uint8", "bytes32", "bytes32", "bytes32", "asset[]", "string"
)
_SET_STATE = bytes.fromhex("965ff5bc")
_SET_STATE_LAYOUT = Layout("asset", "uint8")
_FIX_SPLIT = bytes.fromhex("aeef31f5")
_FIX_SPLIT_LAYOUT = Layout("asset", "bytes32", "bytes")
_TRANSFER_FROM = bytes.fromhex("23b872dd")
_TRANSFER_FROM_LAYOUT = Layout("address", "address", "asset")
_ASSET_VIEW = bytes.fromhex("8ea06f81")
_ASSET_ANSWER = Layout(
    "address", "uint8", "uint8", "uint32", "uint64", "uint64", "bytes32", "bytes32", "bytes32"
)
_LICENCES = bytes.fromhex("a199d70a")
_SPLITS = bytes.fromhex("6cbdec7d")
_SALE = bytes.fromhex("96032702")
_SALE_ANSWER = Layout("uint8", "bytes32", "address")
_ASSET = Layout("asset")
_ADDRESS = Layout("address")
_ADDRESSES = Layout("address", "address")


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset as the ledger holds it.

    Parameters
    ----------
    owner
        Who owns it now.
    kind, state
        What it is and where it stands in its life.
    versions
        How many were published.
    created_at, updated_at
        Block times in seconds since 1970; transfers do not count as an update.
    latest_root
        Content root of the last version, 32 bytes, zeros for a draft.
    split_hash
        Hash of payees and shares, 32 bytes, zeros if open.
    parents_hash
        keccak256 of the parents' ids one after the other, 32 bytes, zeros if there are none.
    """

    owner: Address
    kind: AssetKind
    state: AssetState
    versions: int
    created_at: int
    updated_at: int
    latest_root: bytes
    split_hash: bytes
    parents_hash: bytes


@dataclass(frozen=True, slots=True)
class Sale:
    """What a sale depends on.

    Parameters
    ----------
    state
        Only an active asset is sold.
    split_hash
        The hash of its split, 32 bytes, zeros if it has none.
    owner
        Who gets its income if it has no split; None if it has one.
    """

    state: AssetState
    split_hash: bytes
    owner: Address | None


@dataclass(frozen=True, slots=True)
class AssetRegistered:
    """An asset came into being; `metadata` and `uri` are empty if a version follows at once."""

    asset: AssetId
    owner: Address
    salt: bytes
    kind: AssetKind
    split_hash: bytes
    metadata: bytes
    parents: tuple[AssetId, ...]
    uri: str


@dataclass(frozen=True, slots=True)
class VersionPublished:
    """A version was published; the first one makes the asset active."""

    asset: AssetId
    version: int
    root: bytes
    metadata: bytes
    uri: str


@dataclass(frozen=True, slots=True)
class SplitFixed:
    """The split of an asset that had none was fixed, or a successor took its place."""

    asset: AssetId
    split_hash: bytes


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The owner changed the asset's state."""

    asset: AssetId
    state: AssetState


@dataclass(frozen=True, slots=True)
class Transfer:
    """An asset changed hands (ERC-721); `sender` is the zero address when it is registered."""

    sender: Address
    receiver: Address
    asset: AssetId


Event = AssetRegistered | VersionPublished | SplitFixed | StateChanged | Transfer


def _registered(
    asset: AssetId,
    owner: Address,
    salt: bytes,
    kind: int,
    split_hash: bytes,
    metadata: bytes,
    parents: tuple[AssetId, ...],
    uri: str,
) -> AssetRegistered:
    return AssetRegistered(asset, owner, salt, _kind(kind), split_hash, metadata, parents, uri)


def _changed(asset: AssetId, state: int) -> StateChanged:
    return StateChanged(asset, _state(state))


ASSET_REGISTERED: Final = EventLayout(
    _registered,
    bytes.fromhex("0608cd35bed563f3afca4527d94446d29b9032e62cf274516f35753e62f52f18"),
    (_ASSET, _ADDRESS),
    Layout("bytes16", "uint8", "bytes32", "bytes32", "asset[]", "string"),
)
VERSION_PUBLISHED: Final = EventLayout(
    VersionPublished,
    bytes.fromhex("333527f0f268ef727ef0c6784b3845bc07a4dd8336e23192a849ffd9ba6b878f"),
    (_ASSET,),
    Layout("uint32", "bytes32", "bytes32", "string"),
)
SPLIT_FIXED: Final = EventLayout(
    SplitFixed,
    bytes.fromhex("84cb74b50b61591ded377d7182a3b6f4809a13fdb8cc4123c19e5f6a235eff32"),
    (_ASSET,),
    Layout("bytes32"),
)
STATE_CHANGED: Final = EventLayout(
    _changed,
    bytes.fromhex("fafe884515ca1fa5e0bf815ce87ef00b2cdaa0eee590d20376604937937a10bf"),
    (_ASSET,),
    Layout("uint8"),
)
TRANSFER: Final = EventLayout(
    Transfer,
    bytes.fromhex("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"),
    (_ADDRESS, _ADDRESS, _ASSET),
    Layout(),
)
EVENTS: Final = by_topic(ASSET_REGISTERED, VERSION_PUBLISHED, SPLIT_FIXED, STATE_CHANGED, TRANSFER)


def deploy_data(licences: Address = ZERO_ADDRESS, splits: Address = ZERO_ADDRESS) -> bytes:
    """Return the data of the transaction that deploys the contract.

    Parameters
    ----------
    licences
        The contract that records offers, the zero address for none ever.
    splits
        The contract that checks and pays out splits, the zero address for none ever.
    """
    return load_artefact("Assets").bytecode + _ADDRESSES.encode(licences, splits)


def runtime_code(licences: Address = ZERO_ADDRESS, splits: Address = ZERO_ADDRESS) -> bytes:
    """Return the code the contract has once deployed with `licences` and `splits`."""
    return load_artefact("Assets").runtime_code(
        licences=_ADDRESS.encode(licences), splits=_ADDRESS.encode(splits)
    )


def asset_id(owner: Address, salt: bytes) -> AssetId:
    """Return the id of the asset that `owner` registers with a 16-byte `salt`.

    It is keccak256(owner ‖ salt), known before registration and free to nobody else.

    Raises
    ------
    BadInput
        Not an address, or not 16 bytes.
    """
    from usufruct.crypto.hash import keccak256

    if len(salt) != 16:
        raise BadInput(f"a salt has 16 bytes, not {len(salt)}")
    return AssetId(keccak256(_ADDRESS.encode(owner)[12:] + salt).hex())


def parents_hash(parents: Sequence[AssetId]) -> bytes:
    """Return what the ledger stores for a list of parents, 32 bytes, zeros for none."""
    from usufruct.crypto.hash import keccak256

    ordered = _ordered(parents)
    return keccak256(b"".join(_ASSET.encode(p) for p in ordered)) if ordered else ZERO32


def register(
    contract: Address,
    *,
    salt: bytes,
    kind: AssetKind,
    metadata: bytes,
    split_hash: bytes = ZERO32,
    parents: Sequence[AssetId] = (),
    uri: str = "",
    terms: bytes = b"",
) -> Call:
    """Register a draft: an asset that has no version yet.

    Parameters
    ----------
    contract
        Where Assets is.
    salt
        16 bytes that make the id together with the sender's address.
    kind
        What the asset is.
    metadata
        Digest of the description, 32 bytes.
    split_hash
        Hash of payees and shares, 32 bytes, zeros to leave it open.
    parents
        What it is made from, at most 32; put into ascending order here.
    uri
        Where the description is found, at most 1,024 bytes.
    terms
        The split to show, with claims on parents, and no offer; empty for nothing to show, which
        is also what a contract older than Licences understands.
    """
    values = (salt, kind.number, split_hash, _ordered(parents), metadata, uri)
    if terms:
        data = _REGISTER_WITH_TERMS + _REGISTER_WITH_TERMS_LAYOUT.encode(*values, terms)
    else:
        data = _REGISTER + _REGISTER_LAYOUT.encode(*values)
    return Call(contract, data)


def publish(
    contract: Address,
    *,
    asset: AssetId,
    kind: AssetKind,
    root: bytes,
    metadata: bytes,
    salt: bytes = bytes(16),
    split_hash: bytes = ZERO32,
    parents: Sequence[AssetId] = (),
    uri: str = "",
    offers: bytes = b"",
) -> Call:
    """Publish a version; registers the asset if it is new.

    Parameters
    ----------
    contract
        Where Assets is.
    asset
        The asset; if it is new, :func:`asset_id` of the sender and `salt`.
    kind
        What the asset is; never changes.
    root
        The version's content root, 32 bytes, not zero.
    metadata
        Digest of the version's statement, 32 bytes.
    salt
        16 bytes; read for a new asset only.
    split_hash
        32 bytes; zeros, or for an asset with an open split the one to fix.
    parents
        For a new asset as in :func:`register`; else empty or the same.
    uri
        Where the version is found, at most 1,024 bytes.
    offers
        The split to show, with claims on parents, and offers for Licences, in one encoding; empty
        for neither.
    """
    arguments = _PUBLISH_ARGS.encode(
        asset, salt, kind.number, root, metadata, split_hash, _ordered(parents), uri
    )
    return Call(contract, _PUBLISH + _PUBLISH_LAYOUT.encode(arguments, offers))


def set_state(contract: Address, asset: AssetId, state: AssetState) -> Call:
    """Retire an asset, bring it back, or revoke it for good."""
    return Call(contract, _SET_STATE + _SET_STATE_LAYOUT.encode(asset, state.number))


def fix_split(contract: Address, asset: AssetId, *, split_hash: bytes, terms: bytes) -> Call:
    """Give an asset without a split its first one, shown in `terms`; by its owner."""
    return Call(contract, _FIX_SPLIT + _FIX_SPLIT_LAYOUT.encode(asset, split_hash, terms))


def transfer(contract: Address, *, sender: Address, receiver: Address, asset: AssetId) -> Call:
    """Give an asset to another account (ERC-721 ``transferFrom``)."""
    return Call(contract, _TRANSFER_FROM + _TRANSFER_FROM_LAYOUT.encode(sender, receiver, asset))


def asset(contract: Address, asset: AssetId) -> View[Asset | None]:
    """Ask for an asset as it stands; the answer is None if there is none."""
    return View(contract, _ASSET_VIEW + _ASSET.encode(asset), _decode_asset)


def licences(contract: Address) -> View[Address]:
    """Ask for the contract that records offers; the zero address if there is none."""
    return View(contract, _LICENCES, _decode_address)


def splits(contract: Address) -> View[Address]:
    """Ask for the contract that checks and pays out splits; the zero address if there is none."""
    return View(contract, _SPLITS, _decode_address)


def sale(contract: Address, asset: AssetId) -> View[Sale]:
    """Ask for what a sale depends on; the ledger refuses an asset that is not there."""
    return View(contract, _SALE + _ASSET.encode(asset), _decode_sale)


def decode_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """Return the event of a log, None if it is none of those here (ERC-721 approvals)."""
    return decode_with(EVENTS, topics, data)


def _ordered(parents: Sequence[AssetId]) -> list[AssetId]:
    if len(set(parents)) != len(parents):
        raise BadInput("a parent is named twice")
    if len(parents) > MAX_PARENTS:
        raise BadInput(f"{len(parents)} parents are too many", hint=f"at most {MAX_PARENTS}")
    return sorted(parents)


def _kind(number: int) -> AssetKind:
    if number >= len(_KINDS):
        raise BadInput(f"the ledger names a kind of asset that is unknown here: {number}")
    return _KINDS[number]


def _state(number: int) -> AssetState:
    if number >= len(_STATES):
        raise BadInput(f"the ledger names a state that is unknown here: {number}")
    return _STATES[number]


def _decode_address(data: bytes) -> Address:
    (address,) = _ADDRESS.decode(data)
    return Address(address)


def _decode_asset(data: bytes) -> Asset | None:
    owner, kind, state, *rest = _ASSET_ANSWER.decode(data)
    if owner == ZERO_ADDRESS:
        return None
    return Asset(owner, _kind(kind), _state(state), *rest)


def _decode_sale(data: bytes) -> Sale:
    state, split_hash, owner = _SALE_ANSWER.decode(data)
    return Sale(_state(state), split_hash, owner if split_hash == ZERO32 else None)
