"""Account signatures in the one form that contracts take: r, a low s, and 27 or 28."""

from __future__ import annotations

from typing import TYPE_CHECKING

from usufruct.errors import BadInput, VerificationError
from usufruct.ledger.bindings.calls import wallet_signature
from usufruct.types import Address

if TYPE_CHECKING:
    from usufruct.ledger.account import Account


def sign(account: Account, digest: bytes) -> bytes:
    """Return the account's signature over a 32-byte digest, 65 bytes, as contracts take it."""
    return wallet_signature(account.sign_digest(digest))


def check_signed(digest: bytes, signature: bytes, signer: Address, what: str) -> bytes:
    """Check that `signer` signed `digest`, and return the signature as contracts take it.

    Parameters
    ----------
    what
        What was signed, for the message.

    Notes
    -----
    OpenZeppelin's ``ECDSA`` takes 27 or 28 as the last byte only, so a signature that ends in 0 or
    1 would satisfy us and fail on the ledger; hence the returned form is the one to keep.

    Raises
    ------
    VerificationError
        Another account's, over something else, or malformed.
    """
    from usufruct.ledger.account import recover

    try:
        found = recover(digest, signature)
    except (BadInput, VerificationError) as error:
        raise VerificationError(f"{what} is not validly signed: {error.message}") from None
    if found != signer:
        raise VerificationError(
            f"{what} is not signed by {signer}",
            hint="it was signed by another account, or over something else",
        )
    return wallet_signature(signature)
