"""Which signing key of a party counts at which place of its log, decided offline.

Entry 0 of a party's log adds its first key. A rotation is signed by the key that goes and the key
that comes, and no key comes back; nothing after a revocation counts. Every key carries a binding
by the party's account, whose address names the log. What no file can show is a rotation or
revocation that somebody left out: a ledger's current keys tell (see ``confirm``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usufruct.crypto import dsse
from usufruct.crypto.identity import PublicIdentity, verify_binding
from usufruct.errors import VerificationError
from usufruct.evidence.predicates import Party
from usufruct.types import Address


@dataclass(frozen=True, slots=True)
class KeyStep:
    """A key statement at its place in the log."""

    index: int
    party: Party
    envelope: dsse.Envelope


@dataclass(frozen=True, slots=True)
class KeyHistory:
    """A party's keys in log order.

    Parameters
    ----------
    address
        The party.
    since
        First log index that each key may sign, with the key's identity.
    revoked
        Index of the revocation, if any.
    """

    address: Address
    since: tuple[tuple[int, PublicIdentity], ...]
    revoked: int | None

    @classmethod
    def build(cls, address: Address, steps: Sequence[KeyStep]) -> KeyHistory:
        """Check a party's key statements, in log order.

        Raises
        ------
        VerificationError
            Not begun by an addition at index 0, a step by the wrong keys, a key of another
            address or without binding, a key that comes back, a step after the revocation.
        """
        if not steps or steps[0].index != 0:
            raise VerificationError(f"the log of {address} does not begin with its party's key")
        since: list[tuple[int, PublicIdentity]] = []
        revoked: int | None = None
        for step in steps:
            identity = step.party.identity
            if revoked is not None:
                raise VerificationError(f"{address} changed keys after revoking them")
            if identity.address != address:
                raise VerificationError(f"the log of {address} holds another party's key")
            verify_binding(identity)
            if (step.party.action == "add") != (not since):
                raise VerificationError(f"only the first key of {address} is added")
            signers = {identity.key_id: identity.signing_key}
            if step.party.action == "rotate":
                old = since[-1][1]
                if any(identity.signing_key == other.signing_key for _, other in since):
                    raise VerificationError(f"a former key of {address} came back")
                signers[old.key_id] = old.signing_key
            elif step.party.action == "revoke":
                if identity != since[-1][1]:
                    raise VerificationError(f"{address} revoked a key that is not its own")
                revoked = step.index
            _signed_by_exactly(step.envelope, signers)
            if step.party.action != "revoke":
                since.append((step.index, identity))
        return cls(address, tuple(since), revoked)

    @property
    def latest(self) -> PublicIdentity:
        """The key that signs the log's checkpoint."""
        return self.since[-1][1]

    def at(self, index: int) -> PublicIdentity:
        """Return whose key signs entry `index`.

        Raises
        ------
        VerificationError
            The entry comes after the revocation, or before the first key.
        """
        if self.revoked is not None and index > self.revoked:
            raise VerificationError(f"entry {index} comes after {self.address} revoked its key")
        for first, identity in reversed(self.since):
            if first < index:
                return identity
        raise VerificationError(f"entry {index} comes before any key of {self.address}")

    def keys(self) -> dict[str, bytes]:
        """Return every signing key the party has had, by key id."""
        return {identity.key_id: identity.signing_key for _, identity in self.since}


def _signed_by_exactly(envelope: dsse.Envelope, keys: dict[str, bytes]) -> None:
    if {signature.keyid for signature in envelope.signatures} != set(keys):
        raise VerificationError("a key statement is not signed by the keys it concerns")
    dsse.verify(envelope, keys, threshold=len(keys))
