"""The statement that a grant was given: who may open what, under which licence, until when.

The node that hands out keys signs one and sends it along; the buyer keeps it, to show what was
promised and given. A node holds no home's lock, so it is not in the seller's log.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from usufruct.errors import BadInput
from usufruct.evidence import fields
from usufruct.evidence.predicates import optional_digest, time_of
from usufruct.evidence.statements import (
    CONTENT_ROOT,
    Statement,
    Subject,
    make_statement,
    predicate_type,
)
from usufruct.types import Address, AssetId, Digest, LicenceId, OfferId

GRANT: Final = predicate_type("grant")
_OFFER_SIZE: Final = 24


@dataclass(frozen=True, slots=True)
class Grant:
    """Keys to a version of an asset were given to the holder of a licence.

    Parameters
    ----------
    licence, offer
        Under which right; the licence's id begins with the offer's.
    terms
        SHA-256 of the terms agreed to; None if the offer has none.
    holder
        Who got the keys.
    asset, version, content_root
        What they open.
    sealed
        SHA-256 of the sealed asset's document.
    created, expires
        RFC 3339 in UTC to the second; `expires` is None for ever.
    """

    licence: LicenceId
    offer: OfferId
    terms: Digest | None
    holder: Address
    asset: AssetId
    version: int
    content_root: Digest
    sealed: Digest
    created: str
    expires: str | None = None

    def payload(self) -> bytes:
        """Return the statement, ready for signing (BadInput: a field is not valid)."""
        predicate = {
            "licence": self.licence,
            "offer": self.offer,
            "terms": self.terms,
            "holder": self.holder,
            "asset": self.asset,
            "version": self.version,
            "content_root": self.content_root,
            "sealed": self.sealed,
            "created": self.created,
            "expires": self.expires,
        }
        subject = Subject(f"grant under {self.licence}", CONTENT_ROOT, self.content_root)
        return make_statement(GRANT, (subject,), predicate)

    @classmethod
    def read(cls, statement: Statement) -> Grant:
        """Read the predicate strictly (BadInput)."""
        names = {"licence", "offer", "terms", "holder", "asset", "version", "content_root"}
        data = fields.record(
            statement.predicate, names | {"sealed", "created", "expires"}, "a grant"
        )
        licence = fields.digest(data["licence"], "licence")
        offer = fields.unhex(data["offer"], "offer", _OFFER_SIZE).hex()
        if not licence.startswith(offer):
            raise BadInput("a grant's licence is not of its offer")
        expires = data["expires"]
        created = time_of(data["created"])
        # equal lengths, so the order of the texts is the order of the times
        if expires is not None and time_of(expires) <= created:
            raise BadInput("a grant ends after it was given")
        return cls(
            LicenceId(licence),
            OfferId(offer),
            optional_digest(data["terms"], "digest of the terms"),
            fields.address(data["holder"], "holder"),
            AssetId(fields.digest(data["asset"], "asset id")),
            fields.whole(data["version"], "a version", 1),
            Digest(fields.digest(data["content_root"], "content root")),
            Digest(fields.digest(data["sealed"], "digest of the sealed asset")),
            created,
            expires,
        )


def read_grant(statement: Statement) -> Grant:
    """Read a grant's statement strictly.

    Raises
    ------
    BadInput
        Another type, a wrong shape, or one that does not encode back to the same statement.
    """
    if statement.type != GRANT:
        raise BadInput(f"a statement of type '{statement.type[:80]}' is not a grant")
    grant = Grant.read(statement)
    if hashlib.sha256(grant.payload()).hexdigest() != statement.digest:
        raise BadInput("a statement does not encode back to itself")
    return grant
