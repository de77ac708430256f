"""What a buyer keeps of a purchase: one canonical file with the offer and its terms in full.

The ledger keeps hashes. The receipt keeps what they are of, so that a buyer can show years later
what was agreed to; each field that a hash covers is checked against it when the file is read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from usufruct.crypto import canonical
from usufruct.errors import BadInput, VerificationError
from usufruct.evidence import fields
from usufruct.evidence.predicates import time_of
from usufruct.ledger.bindings.offers import Offer, split_licence
from usufruct.market.offers import offer_from_dict, offer_to_dict, read_amount
from usufruct.market.terms import MAX_TERMS, TermsText, check_terms
from usufruct.types import ZERO_ADDRESS, Address, LicenceId, OfferId, parse_licence_id
from usufruct.units import KIB

FORMAT: Final = "usufruct/receipt/v1"
MAX_TITLE: Final = 4096
MAX_RECEIPT: Final = 2 * MAX_TERMS + 64 * KIB
"""Bytes of a receipt; JSON writes a newline or a quotation mark as two."""

_NAMES: Final = {
    *("format", "chain_id", "contract", "transaction", "offer_id", "offer", "licence", "holder"),
    *("payer", "price", "token", "terms_digest", "terms", "time", "title"),
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """A purchase of a licence.

    Parameters
    ----------
    chain_id, contract
        Where the contract Licences is.
    transaction
        Hash of the purchase, ``0x`` and 64 hexadecimal digits.
    offer, licence
        What was bought, and under which id.
    holder, payer
        Who got the licence and who paid.
    terms
        The text agreed to; None if the offer has none.
    time
        Of the purchase's block, RFC 3339 in UTC to the second.
    title
        What the asset was called; nobody vouches for it.

    Raises
    ------
    BadInput
        A field of another form.
    VerificationError
        The licence is not of the offer, or the text is not the one the offer names.
    """

    chain_id: int
    contract: Address
    transaction: str
    offer: Offer
    licence: LicenceId
    holder: Address
    payer: Address
    terms: TermsText | None
    time: str
    title: str

    def __post_init__(self) -> None:
        fields.whole(self.chain_id, "a chain id", 1)
        for value, what in (
            (self.contract, "contract Licences"),
            (self.holder, "holder"),
            (self.payer, "payer"),
        ):
            if fields.address(value, what) == ZERO_ADDRESS:
                raise BadInput(f"the {what} is the zero address")
        hash_ = fields.text(self.transaction, "a transaction's hash", 66)
        if not hash_.startswith("0x"):
            raise BadInput("a transaction's hash begins with 0x")
        fields.digest(hash_[2:], "transaction's hash")
        time_of(self.time)
        fields.text(self.title, "a title", MAX_TITLE)
        self.check_offer(self.offer.offer_id)
        check_terms(self.terms, self.offer.terms)

    @property
    def price(self) -> int:
        """What was paid, in the smallest unit of `token`."""
        return self.offer.price

    @property
    def token(self) -> Address:
        """In which token it was paid; zero is the chain's coin."""
        return self.offer.token

    def check_offer(self, offer_id: OfferId) -> None:
        """Check that the receipt is of this offer, its id computed from all of its fields.

        Raises
        ------
        VerificationError
            It is of another one, or its licence is.
        """
        if self.offer.offer_id != offer_id:
            raise VerificationError(
                f"the receipt is of the offer {self.offer.offer_id}, not of {offer_id}"
            )
        if split_licence(self.licence)[0] != offer_id:
            raise VerificationError(
                f"the receipt's licence {self.licence} is not of the offer {offer_id}"
            )

    def to_bytes(self) -> bytes:
        """Return the file, canonical JSON.

        Price and token, the offer's id and the digest of the terms follow from the rest; they
        stand there for people, and are checked when the file is read.
        """
        terms = None if self.terms is None else self.terms.text
        return canonical.dumps(
            {
                "format": FORMAT,
                "chain_id": self.chain_id,
                "contract": self.contract,
                "transaction": self.transaction,
                "offer_id": self.offer.offer_id,
                "offer": offer_to_dict(self.offer),
                "licence": self.licence,
                "holder": self.holder,
                "payer": self.payer,
                "price": str(self.price),
                "token": self.token,
                "terms_digest": None if terms is None else self.offer.terms.hex(),
                "terms": terms,
                "time": self.time,
                "title": self.title,
            }
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Receipt:
        """Read a file strictly.

        Raises
        ------
        BadInput
            Not a receipt, or not canonical.
        VerificationError
            A field is not what a hash or another field says.
        """
        value = canonical.loads(data, max_bytes=MAX_RECEIPT, max_depth=4)
        document = fields.record(value, _NAMES, "a receipt")
        if document["format"] != FORMAT:
            raise BadInput(f"the file is not of the format {FORMAT}")
        offer = offer_from_dict(document["offer"])
        receipt = cls(
            document["chain_id"],
            document["contract"],
            document["transaction"],
            offer,
            _licence(document["licence"]),
            document["holder"],
            document["payer"],
            _terms(document["terms"]),
            document["time"],
            document["title"],
        )
        read_amount(document["price"], 2**128 - 1, "a receipt's price")
        if receipt.to_bytes() != data:
            raise VerificationError(
                "the receipt contradicts itself: its price, token, offer id or digest of terms is "
                "not the one of its offer",
                hint="somebody changed the file",
            )
        return receipt


def _licence(value: Any) -> LicenceId:
    text = fields.text(value, "a licence", 64)
    if parse_licence_id(text) != text:
        raise BadInput("a licence's id is in lower case")
    return LicenceId(text)


def _terms(value: Any) -> TermsText | None:
    return None if value is None else TermsText(fields.text(value, "the terms", MAX_TERMS))
