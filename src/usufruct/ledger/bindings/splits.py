"""The contract Splits: who shares an asset's income, and what each is owed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from usufruct.crypto.hash import keccak256
from usufruct.crypto.typed_data import Domain, digest, struct_hash
from usufruct.errors import BadInput
from usufruct.ledger.bindings.artefact import load_artefact
from usufruct.ledger.bindings.calls import (
    Call,
    EventLayout,
    View,
    by_topic,
    decode_with,
    one,
    wallet_signature,
)
from usufruct.ledger.bindings.layout import Layout
from usufruct.ledger.bindings.offers import Offer
from usufruct.types import PPM, ZERO_ADDRESS, Address, AssetId, parse_address

MAX_PAYEES: Final = 64

_SPLIT = Layout("asset", "uint32", "address[]", "uint32[]")
_OPENING = Layout("encoded", "encoded")
_WITHDRAW = bytes.fromhex("03a8638f")
_CREDIT = bytes.fromhex("6c65ecc9")
_SPLIT_TOKEN = Layout("encoded", "address")
_CLAIM = bytes.fromhex("3e590ca1")
_CLAIM_LAYOUT = Layout("bytes32", "address", "address", "address")
_SUCCEED = bytes.fromhex("d58958d6")
_SUCCEED_LAYOUT = Layout("encoded", "encoded", "encoded")
_WALLET_OF = bytes.fromhex("09521458")
_OWED = bytes.fromhex("2e96421f")
_OWED_LAYOUT = Layout("bytes32", "address", "address")
_RESERVED = bytes.fromhex("35e12200")
_RESERVED_LAYOUT = Layout("bytes32", "address")
_IMPLEMENTATION = bytes.fromhex("5c60da1b")
_ADDRESS = Layout("address")
_TWO_ADDRESSES = Layout("address", "address")
_BYTES32 = Layout("bytes32")
_SERIAL = Layout("uint64")
_NUMBER = Layout("uint256")
_SUCCESSION = "Succession(uint256 asset,bytes32 from,bytes32 to)"
# EIP-1167: code that copies the clone, whose runtime has the implementation in its middle
_CLONE = (
    bytes.fromhex("3d602d80600a3d3981f3363d3d373d3d3d363d73"),
    bytes.fromhex("5af43d82803e903d91602b57fd5bf3"),
)


@dataclass(frozen=True, slots=True)
class Split:
    """How one version of an asset's split shares what its wallet receives.

    Parameters
    ----------
    asset
        Whose income.
    version
        From 1; each successor counts one up.
    payees
        1 to 64 addresses, not zero, in ascending order, each once.
    shares
        Parts per million, one a payee, none zero, 1,000,000 together.

    Raises
    ------
    BadInput
        A split that the contract refuses too.
    """

    asset: AssetId
    version: int
    payees: tuple[Address, ...]
    shares: tuple[int, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.payees, tuple) or not isinstance(self.shares, tuple):
            raise BadInput("a split's payees and shares are tuples")
        if not 0 < len(self.payees) <= MAX_PAYEES or len(self.payees) != len(self.shares):
            raise BadInput(
                f"a split has 1 to {MAX_PAYEES} payees with a share each",
                hint="pay a larger circle through the wallet of another split",
            )
        if any(parse_address(payee) != payee or payee == ZERO_ADDRESS for payee in self.payees):
            raise BadInput("a split's payees are addresses in lower case, and not zero")
        if any(first >= second for first, second in pairwise(self.payees)):
            raise BadInput("a split's payees are in ascending order, each once")
        if any(type(share) is not int or share <= 0 for share in self.shares):
            raise BadInput("a split's shares are whole numbers above zero")
        if sum(self.shares) != PPM:
            raise BadInput(f"a split's shares are {PPM:,} parts together, not {sum(self.shares):,}")
        if type(self.version) is not int or self.version < 1:
            raise BadInput("a split's versions count from 1")
        _ = self.encode()  # the ranges

    def encode(self) -> bytes:
        """Return what the contract hashes: ``abi.encode(asset, version, payees, shares)``."""
        return _SPLIT.encode(self.asset, self.version, self.payees, self.shares)

    @classmethod
    def decode(cls, data: bytes) -> Split:
        """Return the split that :meth:`encode` gave (BadInput: anything else)."""
        return cls(*_SPLIT.decode(data))

    @property
    def digest(self) -> bytes:
        """The split's hash, 32 bytes: what the asset holds and the wallet's address comes from."""
        return keccak256(self.encode())


@dataclass(frozen=True, slots=True)
class Claim:
    """A licence of a parent that whoever registers a child shows to owe that licence's royalty.

    Parameters
    ----------
    serial
        The licence's number within its offer.
    offer
        The offer it was bought under.
    """

    serial: int
    offer: Offer

    def encode(self) -> bytes:
        """Return the claim as the contracts take it, 448 bytes."""
        return _SERIAL.encode(self.serial) + self.offer.encode()


@dataclass(frozen=True, slots=True)
class SplitMade:
    """A split came into force; `digest` is its hash."""

    digest: bytes
    split: Split


@dataclass(frozen=True, slots=True)
class Paid:
    """A payee was paid its share at once; `token` is zero for the chain's coin."""

    digest: bytes
    token: Address
    payee: Address
    to: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Claimed:
    """A payee took what was put aside for it; `to` is where it went."""

    digest: bytes
    token: Address
    payee: Address
    to: Address
    amount: int


@dataclass(frozen=True, slots=True)
class Owed:
    """A payee's share was put aside for it to claim."""

    digest: bytes
    token: Address
    payee: Address
    amount: int


Event = SplitMade | Paid | Claimed | Owed


def _made(
    asset: AssetId,
    digest: bytes,
    version: int,
    payees: tuple[Address, ...],
    shares: tuple[int, ...],
) -> SplitMade:
    split = Split(asset, version, payees, shares)
    if split.digest != digest:
        raise BadInput("the ledger names a split by another hash than its own")
    return SplitMade(digest, split)


SPLIT_MADE: Final = EventLayout(
    _made,
    bytes.fromhex("b74aec9efc1ab9d26b2c1f891f14e45a2dcec61647211da0ec813d99fec34a97"),
    (Layout("asset"), _BYTES32),
    Layout("uint32", "address[]", "uint32[]"),
)
PAID: Final = EventLayout(
    Paid,
    bytes.fromhex("060bb954af967ecb7aa08a0072a7f8fe308ceee2f5d15f4a9d4a5275a5fe79e9"),
    (_BYTES32, _ADDRESS, _ADDRESS),
    Layout("address", "uint256"),
)
CLAIMED: Final = EventLayout(
    Claimed,
    bytes.fromhex("8c18dc0a2c06d397feb6dd44b409d75c443e6cfbe8cd39e19619d7809ff9b874"),
    (_BYTES32, _ADDRESS, _ADDRESS),
    Layout("address", "uint256"),
)
OWED: Final = EventLayout(
    Owed,
    bytes.fromhex("87dfa7e206a64bc13933dbcfd98a243674019da80e488c95c9a1e023f5a89479"),
    (_BYTES32, _ADDRESS, _ADDRESS),
    _NUMBER,
)
EVENTS: Final = by_topic(SPLIT_MADE, PAID, CLAIMED, OWED)


def deploy_data(assets: Address, licences: Address) -> bytes:
    """Return the data of the transaction that deploys the contract, which knows the others."""
    return load_artefact("Splits").bytecode + _TWO_ADDRESSES.encode(assets, licences)


def runtime_code(contract: Address, assets: Address, licences: Address) -> bytes:
    """Return the code the contract has once deployed at `contract`."""
    return load_artefact("Splits").runtime_code(
        assets=_ADDRESS.encode(assets),
        licences=_ADDRESS.encode(licences),
        implementation=_ADDRESS.encode(wallet_implementation(contract)),
    )


def domain(chain_id: int, contract: Address) -> Domain:
    """Return the EIP-712 domain of the contract."""
    return Domain("Usufruct Splits", "1", chain_id, contract)


def succession_digest(where: Domain, old: Split, new: Split) -> bytes:
    """Return what a payee signs who accepts a smaller share in `new` than in `old`, 32 bytes."""
    hashed = struct_hash(_SUCCESSION, int(old.asset, 16), old.digest, new.digest)
    return digest(where, hashed)


def encode_opening(split: Split | None, claims: Sequence[Claim] = ()) -> bytes:
    """Return how a split, and licences of parents, are shown at registration.

    Parameters
    ----------
    split
        The split the asset begins with; None for none, which may be if no royalty is due.
    claims
        Licences of parents under which the asset was made.
    """
    listed = len(claims).to_bytes(32, "big") + b"".join(claim.encode() for claim in claims)
    shown = _SPLIT.encode("0" * 64, 0, (), ()) if split is None else split.encode()
    return _OPENING.encode(shown, listed)


def wallet_implementation(contract: Address) -> Address:
    """Return what the wallets are clones of: the first that Splits made (CREATE, nonce 1)."""
    maker = _ADDRESS.encode(contract)[12:]
    return Address("0x" + keccak256(b"\xd6\x94" + maker + b"\x01")[12:].hex())


def wallet_address(contract: Address, implementation: Address, digest: bytes) -> Address:
    """Return where the wallet of a split stands, whether it is deployed or not.

    Parameters
    ----------
    contract
        Where Splits is.
    implementation
        What the wallets are clones of.
    digest
        The split's hash, 32 bytes.

    Notes
    -----
    EIP-1167 and EIP-1014, as OpenZeppelin's ``Clones.predictDeterministicAddress``.
    """
    code = _CLONE[0] + _ADDRESS.encode(implementation)[12:] + _CLONE[1]
    maker, salt = _ADDRESS.encode(contract)[12:], _BYTES32.encode(digest)
    return Address("0x" + keccak256(b"\xff" + maker + salt + keccak256(code))[12:].hex())


def withdraw(contract: Address, split: Split, token: Address) -> Call:
    """Pay all payees their shares of what the split's wallet holds; anyone may.

    Parameters
    ----------
    contract
        Where Splits is.
    split
        The split in full.
    token
        Which token, the zero address for the chain's coin.
    """
    return Call(contract, _WITHDRAW + _SPLIT_TOKEN.encode(split.encode(), token))


def credit(contract: Address, split: Split, token: Address) -> Call:
    """Put all payees' shares aside for each to claim, paying none; anyone may."""
    return Call(contract, _CREDIT + _SPLIT_TOKEN.encode(split.encode(), token))


def claim(contract: Address, *, digest: bytes, token: Address, payee: Address, to: Address) -> Call:
    """Pay what is put aside for a payee; to itself by anyone, elsewhere by the payee."""
    return Call(contract, _CLAIM + _CLAIM_LAYOUT.encode(digest, token, payee, to))


def succeed(contract: Address, old: Split, new: Split, signatures: Sequence[bytes]) -> Call:
    """Put a successor in force for later income; anyone may submit.

    Parameters
    ----------
    contract
        Where Splits is.
    old, new
        The split in force and the one with the next version.
    signatures
        Over :func:`succession_digest`, one of each payee of `old` whose share falls, in the
        order of the payees.
    """
    encoded = _SUCCEED_LAYOUT.encode(old.encode(), new.encode(), _signatures(signatures))
    return Call(contract, _SUCCEED + encoded)


def wallet_of(contract: Address, digest: bytes) -> View[Address]:
    """Ask where the wallet of a split stands."""
    return View(contract, _WALLET_OF + _BYTES32.encode(digest), one(_ADDRESS))


def owed(contract: Address, digest: bytes, token: Address, payee: Address) -> View[int]:
    """Ask how much of a token is put aside for a payee of a split."""
    return View(contract, _OWED + _OWED_LAYOUT.encode(digest, token, payee), one(_NUMBER))


def reserved(contract: Address, digest: bytes, token: Address) -> View[int]:
    """Ask how much of a token is put aside for all payees of a split together."""
    return View(contract, _RESERVED + _RESERVED_LAYOUT.encode(digest, token), one(_NUMBER))


def implementation(contract: Address) -> View[Address]:
    """Ask what the wallets are clones of."""
    return View(contract, _IMPLEMENTATION, one(_ADDRESS))


def decode_event(topics: Sequence[bytes], data: bytes) -> Event | None:
    """Return the event of a log, None if it is none of this contract's."""
    return decode_with(EVENTS, topics, data)


def _signatures(values: Sequence[bytes]) -> bytes:
    """Return a list as the tail of ``bytes[]``: its length, then what ``abi.encode`` gives."""
    signed = [wallet_signature(value) for value in values]
    return len(signed).to_bytes(32, "big") + Layout(*["bytes"] * len(signed)).encode(*signed)
