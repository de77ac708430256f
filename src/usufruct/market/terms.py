"""The text of an offer's terms: plain UTF-8 that shows as it is, named by its SHA-256.

An offer on the ledger carries only the digest; whoever sells hands out the text, and whoever buys
compares before paying and keeps both in the receipt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from usufruct.crypto.hash import DIGEST_SIZE, sha256
from usufruct.errors import BadInput, VerificationError
from usufruct.units import KIB

MAX_TERMS: Final = 256 * KIB
"""Bytes of a text of terms."""

NO_TERMS: Final = bytes(DIGEST_SIZE)
"""What an offer without terms carries in place of a digest."""

# what a screen obeys instead of showing it: control characters, and those that reorder others
_HIDDEN: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_REORDER: Final = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@dataclass(frozen=True, slots=True)
class TermsText:
    """The terms of an offer, safe to print.

    Parameters
    ----------
    text
        At most 256 KiB of UTF-8, not blank; of control characters only newline and tab.

    Raises
    ------
    BadInput
        Another text; the message names the line.
    """

    text: str

    def __post_init__(self) -> None:
        if not isinstance(self.text, str) or not self.text.strip():
            raise BadInput("the terms are empty", hint="leave them out if there are none")
        if found := _HIDDEN.search(self.text):
            line = self.text.count("\n", 0, found.start()) + 1
            raise BadInput(
                f"line {line} of the terms holds the {_kind(found[0])} U+{ord(found[0]):04X}",
                hint="save the terms as plain text with Unix line ends",
            )
        try:
            size = len(self.text.encode())
        except UnicodeEncodeError:
            raise BadInput("the terms hold half a character, which is no text") from None
        _check_size(size)

    @classmethod
    def from_bytes(cls, data: bytes) -> TermsText:
        """Return the terms that a file or an answer holds (BadInput: not such a text)."""
        _check_size(len(data))
        try:
            return cls(data.decode("utf-8"))
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise BadInput(
                f"line {line} of the terms is not UTF-8", hint="save the terms as UTF-8"
            ) from None

    def to_bytes(self) -> bytes:
        """Return the text in UTF-8, of which :attr:`digest` is taken."""
        return self.text.encode()

    @property
    def digest(self) -> bytes:
        """SHA-256 of the text in UTF-8, 32 bytes; what the offer carries."""
        return sha256(self.to_bytes())


def check_terms(text: TermsText | bytes | None, digest: bytes) -> TermsText | None:
    """Check that a text is the one an offer names.

    Parameters
    ----------
    text
        The text, its bytes as a stranger sent them, or None for no text.
    digest
        What the offer carries: SHA-256, or :data:`NO_TERMS`.

    Returns
    -------
    TermsText or None
        The text, now known to be the offer's; None if the offer has none.

    Raises
    ------
    VerificationError
        Another text, a missing one, or one for an offer without terms.
    BadInput
        The very text the offer names, but it cannot be shown safely.
    """
    if text is None:
        if digest != NO_TERMS:
            raise VerificationError(
                f"the offer has terms with the digest {digest.hex()}, but no text came with it",
                hint="ask the seller for the text; do not buy without it",
            )
        return None
    if digest == NO_TERMS:
        raise VerificationError("a text of terms came with an offer that has none")
    data = text.to_bytes() if isinstance(text, TermsText) else text
    if (found := sha256(data)) != digest:
        raise VerificationError(
            f"the text of the terms has the digest {found.hex()}, the offer names {digest.hex()}",
            hint="these are not the terms of this offer; do not buy on them",
        )
    return text if isinstance(text, TermsText) else TermsText.from_bytes(data)


def _check_size(size: int) -> None:
    if size > MAX_TERMS:
        raise BadInput(
            f"the terms have {size} bytes, more than {MAX_TERMS}",
            hint="put a summary and the digest of the whole into the terms",
        )


def _kind(character: str) -> str:
    return "reordering character" if character in _REORDER else "control character"
