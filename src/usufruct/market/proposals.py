"""A successor of a split, passed around as a file until every payee who loses has signed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final

from usufruct.crypto import canonical
from usufruct.errors import BadInput, NotAllowed
from usufruct.evidence import fields
from usufruct.ledger.bindings.splits import MAX_PAYEES, Split, domain, succession_digest
from usufruct.market.signing import check_signed, sign
from usufruct.market.splits import falling
from usufruct.types import Address, AssetId
from usufruct.units import KIB

if TYPE_CHECKING:
    from usufruct.ledger.account import Account

FORMAT: Final = "usufruct/split-proposal/v1"
MAX_FILE: Final = 64 * KIB
_NAMES: Final = {"format", "chain_id", "splits", "old", "new", "signatures"}


@dataclass(frozen=True, slots=True)
class SplitProposal:
    """What the payees of a split are asked to agree to.

    Parameters
    ----------
    chain_id, contract
        Where the contract Splits is; signatures count nowhere else.
    old, new
        The split in force and its successor.
    signatures
        By payee of `old` whose share falls; not checked before :meth:`verify`.

    Raises
    ------
    BadInput
        `new` does not follow `old`, or somebody signed whose consent nobody needs.
    """

    chain_id: int
    contract: Address
    old: Split
    new: Split
    signatures: Mapping[Address, bytes] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.new.asset != self.old.asset:
            raise BadInput("a split's successor is of the same asset")
        if self.new.version != self.old.version + 1:
            raise BadInput(
                f"version {self.new.version} of a split does not follow version {self.old.version}"
            )
        for payee in self.signatures:
            if payee not in self.needed:
                raise BadInput(f"{payee} signed a split that takes nothing from it")

    @property
    def needed(self) -> tuple[Address, ...]:
        """Whose consent it takes, in the order of the payees."""
        return falling(self.old, self.new)

    @property
    def missing(self) -> tuple[Address, ...]:
        """Who has to sign still."""
        return tuple(payee for payee in self.needed if payee not in self.signatures)

    @property
    def digest(self) -> bytes:
        """What each of them signs (EIP-712), 32 bytes."""
        return succession_digest(domain(self.chain_id, self.contract), self.old, self.new)

    def add(self, payee: Address, signature: bytes) -> SplitProposal:
        """Return the proposal with one signature more.

        Raises
        ------
        NotAllowed
            Nobody needs this party's consent.
        VerificationError
            The signature is not this account's over this proposal. A payee that is a contract
            (EIP-1271) cannot sign in a file.
        """
        self._check_needed(payee)
        signed = check_signed(self.digest, signature, payee, f"the consent of {payee}")
        return replace(self, signatures={**self.signatures, payee: signed})

    def sign(self, account: Account) -> SplitProposal:
        """Return the proposal signed by a payee, too (NotAllowed: as :meth:`add`)."""
        self._check_needed(account.address)
        return self.add(account.address, sign(account, self.digest))

    def merge(self, other: SplitProposal) -> SplitProposal:
        """Return this proposal with the signatures of a copy that others signed, all checked.

        Raises
        ------
        BadInput
            Not a copy of this proposal.
        VerificationError
            A signature does not hold.
        """
        if replace(self, signatures={}) != replace(other, signatures={}):
            raise BadInput("the two files propose different splits")
        merged = replace(self, signatures={**other.signatures, **self.signatures})
        merged.verify()
        return merged

    def verify(self) -> None:
        """Check every signature that is there (VerificationError: one does not hold)."""
        for payee, signature in self.signatures.items():
            check_signed(self.digest, signature, payee, f"the consent of {payee}")

    def consents(self) -> tuple[bytes, ...]:
        """Return the signatures as the contract takes them, all checked.

        Raises
        ------
        NotAllowed
            Some are missing.
        VerificationError
            One does not hold.
        """
        if self.missing:
            raise NotAllowed(
                f"{len(self.missing)} of {len(self.needed)} consents are missing: "
                + ", ".join(self.missing),
                hint="pass the file on to them",
            )
        self.verify()
        return tuple(self.signatures[payee] for payee in self.needed)

    def to_bytes(self) -> bytes:
        """Return the file, canonical JSON."""
        return canonical.dumps(
            {
                "format": FORMAT,
                "chain_id": self.chain_id,
                "splits": self.contract,
                "old": split_to_dict(self.old),
                "new": split_to_dict(self.new),
                "signatures": {payee: sig.hex() for payee, sig in self.signatures.items()},
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> SplitProposal:
        """Read a file strictly; no signature is checked.

        Raises
        ------
        BadInput
            Anything but what :meth:`to_bytes` gives.
        """
        value = canonical.loads(data, max_bytes=MAX_FILE, max_depth=8)
        document = fields.record(value, _NAMES, "a split proposal")
        if document["format"] != FORMAT:
            raise BadInput(f"the file is not of the format {FORMAT}")
        signatures = document["signatures"]
        if not isinstance(signatures, dict) or len(signatures) > MAX_PAYEES:
            raise BadInput(f"a proposal's signatures are at most {MAX_PAYEES}, by payee")
        return cls(
            fields.whole(document["chain_id"], "a chain id", 1),
            fields.address(document["splits"], "contract Splits"),
            split_from_dict(document["old"]),
            split_from_dict(document["new"]),
            {
                fields.address(payee, "payee"): fields.unhex(value, "signature", 65)
                for payee, value in signatures.items()
            },
        )

    def _check_needed(self, payee: Address) -> None:
        if payee not in self.needed:
            raise NotAllowed(
                f"nobody needs the consent of {payee}: its share does not fall",
                hint=f"it takes the consent of {', '.join(self.needed) or 'nobody'}",
            )


def split_to_dict(split: Split) -> dict[str, Any]:
    """Return a split as plain data for a canonical document; shares in parts per million."""
    return {
        "asset": split.asset,
        "version": split.version,
        "shares": dict(zip(split.payees, split.shares, strict=True)),
    }


def split_from_dict(value: Any) -> Split:
    """Return the split that :func:`split_to_dict` gave, strictly (BadInput: anything else)."""
    data = fields.record(value, {"asset", "version", "shares"}, "a split")
    shares = data["shares"]
    if not isinstance(shares, dict) or len(shares) > MAX_PAYEES:
        raise BadInput(f"a split's shares are at most {MAX_PAYEES}, by payee")
    payees = tuple(sorted(fields.address(payee, "payee") for payee in shares))
    return Split(
        AssetId(fields.digest(data["asset"], "split's asset")),
        fields.whole(data["version"], "a split's version", 1),
        payees,
        tuple(fields.whole(shares[payee], "a share", 1) for payee in payees),
    )
