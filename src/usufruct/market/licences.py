"""What a licence is good for now, and what its holder signs: uses and acknowledgements."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

from usufruct.clock import iso
from usufruct.errors import NotAllowed
from usufruct.ledger.bindings.licences import (
    UNCOUNTED,
    acknowledgement_digest,
    domain,
    use_digest,
)
from usufruct.ledger.bindings.offers import Offer, split_licence
from usufruct.market.signing import check_signed, sign
from usufruct.types import ZERO_ADDRESS, Address, AssetId, LicenceId, Use

if TYPE_CHECKING:
    from usufruct.crypto.typed_data import Domain
    from usufruct.ledger.account import Account

__all__ = [
    "LicenceState",
    "UseMeter",
    "check_use",
    "domain",
    "granted",
    "in_window",
    "remaining",
    "sign_acknowledgement",
    "sign_use",
    "verify_acknowledgement",
    "verify_use",
]


class LicenceState(Protocol):
    """A licence as it stands, such as the index's ``LicenceRecord``.

    Times are seconds since 1970; `expiry` is 0 for ever, `uses` are granted in all, None or
    ``UNCOUNTED`` if they are not counted, `refund_deadline` is 0 once the price is settled.
    """

    @property
    def holder(self) -> Address:
        """Who holds it."""
        ...

    @property
    def state(self) -> str:
        """Where its price is; ``refunded`` if it went back."""
        ...

    @property
    def expiry(self) -> int:
        """From when it is not good any more."""
        ...

    @property
    def uses(self) -> int | None:
        """How many uses it is good for in all."""
        ...

    @property
    def refund_deadline(self) -> int:
        """Until when its price can be challenged."""
        ...

    @property
    def used(self) -> int:
        """How many uses were recorded on the ledger."""
        ...


@dataclass(frozen=True, slots=True)
class UseMeter:
    """How often a licence was used: each use is a total one larger, signed by the holder.

    Parameters
    ----------
    granted
        How many uses it is good for in all, None if they are not counted.
    total
        Uses so far: what the ledger has, or a larger signed total.
    """

    granted: int | None
    total: int = 0

    @classmethod
    def of(cls, record: LicenceState, *, signed: int = 0) -> UseMeter:
        """Return the meter of a licence; `signed` is the largest total known off the ledger."""
        return cls(granted(record), max(record.used, signed))

    @property
    def left(self) -> int | None:
        """How many uses are left, None if they are not counted."""
        return None if self.granted is None else max(0, self.granted - self.total)

    def next_total(self) -> int:
        """Return the total to sign for one use more.

        Raises
        ------
        NotAllowed
            The uses are not counted, or all of them are used.
        """
        if self.granted is None:
            raise NotAllowed("the uses of this licence are not counted", hint="ask without a total")
        if self.total >= self.granted:
            raise NotAllowed(
                f"all {self.granted} uses of the licence are used",
                hint="renew it while its offer is open, or buy another one",
            )
        return self.total + 1

    def take(self, total: int) -> UseMeter:
        """Return the meter after one use more, for which `total` was signed.

        Raises
        ------
        NotAllowed
            Another total than the next one, or none is left.
        """
        due = self.next_total()
        if total != due:
            raise NotAllowed(
                f"{self.total} uses are counted, so the next total is {due}, not {total}",
                hint=f"sign the total {due}",
            )
        return replace(self, total=total)


def check_use(
    record: LicenceState | None,
    offer: Offer,
    *,
    asset: AssetId,
    use: Use,
    holder: Address,
    now: int,
    licence: LicenceId | None = None,
    signed: int = 0,
) -> None:
    """Check that a licence allows a use of an asset to a holder now.

    Parameters
    ----------
    record
        The licence as the ledger has it, None if it has none.
    offer
        The offer it was bought under.
    licence
        Its id; if given, it must be of `offer`.
    signed
        The largest total of uses that was signed, maybe not on the ledger yet.

    Raises
    ------
    NotAllowed
        It does not; the message gives the one reason, the hint what would help.
    """
    if licence is not None and split_licence(licence)[0] != offer.offer_id:
        raise NotAllowed(f"the licence {licence} is not of the offer {offer.offer_id}")
    if record is None or record.state == "refunded" or record.holder == ZERO_ADDRESS:
        raise NotAllowed(
            "there is no such licence: it was never sold, or was refunded",
            hint="buy one: usufruct market show ASSET",
        )
    if offer.asset != asset:
        raise NotAllowed(
            f"the licence is for the asset {offer.asset}, not for {asset}",
            hint="show a licence for this asset",
        )
    if offer.use is not use:
        raise NotAllowed(
            f"the licence is to {offer.use}, not to {use}",
            hint=f"buy a licence to {use}: usufruct market show {asset}",
        )
    if record.holder != holder:
        raise NotAllowed(
            f"the licence is held by {record.holder}, not by {holder}",
            hint="the holder has to ask, or transfer the licence if its offer allows it",
        )
    if record.expiry and now >= record.expiry:
        raise NotAllowed(
            f"the licence ended at {iso(record.expiry)}",
            hint="renew it while its offer is open, or buy another one",
        )
    meter = UseMeter.of(record, signed=signed)
    if meter.granted is not None:
        meter.next_total()


def granted(record: LicenceState) -> int | None:
    """Return how many uses a licence is good for in all, None if they are not counted."""
    return None if record.uses in (None, UNCOUNTED) else record.uses


def remaining(record: LicenceState, *, signed: int = 0) -> int | None:
    """Return how many uses are left, None if they are not counted; `signed` as in `check_use`."""
    return UseMeter.of(record, signed=signed).left


def in_window(record: LicenceState) -> bool:
    """Whether the price waits: what is delivered before it is settled can be had for nothing.

    A price whose deadline has passed waits still, until somebody has it released.
    """
    return record.refund_deadline != 0


def sign_use(account: Account, where: Domain, licence: LicenceId, total: int) -> bytes:
    """Return the holder's signature that a licence was used `total` times in all, 65 bytes."""
    return sign(account, use_digest(where, licence, total))


def verify_use(
    where: Domain, licence: LicenceId, total: int, signature: bytes, holder: Address
) -> bytes:
    """Check a holder's signature over its uses, and return it as the contract takes it.

    Raises
    ------
    VerificationError
        Another account's, over something else, or malformed.
    """
    what = f"the use {total} of the licence"
    return check_signed(use_digest(where, licence, total), signature, holder, what)


def sign_acknowledgement(account: Account, where: Domain, licence: LicenceId, root: bytes) -> bytes:
    """Return the holder's signature that it has the content with this 32-byte root, 65 bytes.

    Sign it only once the ciphertext and a probe have been verified: it pays out the price.
    """
    return sign(account, acknowledgement_digest(where, licence, root))


def verify_acknowledgement(
    where: Domain, licence: LicenceId, root: bytes, signature: bytes, holder: Address
) -> bytes:
    """Check a holder's acknowledgement, and return it as the contract takes it.

    Raises
    ------
    VerificationError
        Another account's, over something else, or malformed.
    """
    digest = acknowledgement_digest(where, licence, root)
    return check_signed(digest, signature, holder, "the acknowledgement of the licence")
