"""What this home bought: receipts with the terms that were agreed to, and texts of terms."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.errors import BadInput, NotFound, VerificationError
from usufruct.market.terms import MAX_TERMS, TermsText, check_terms
from usufruct.store import make_folder, read_bytes, write_atomic
from usufruct.types import LicenceId
from usufruct.workspace.session import Session

if TYPE_CHECKING:
    from usufruct.market.receipts import Receipt

TERMS, ALLOWED, RECEIPTS = "terms", "allow", "purchases"
"""Folders of a home: terms and allow lists by digest, receipts by licence."""

_MOST_RECEIPT = 1 << 20


def keep_terms(session: Session, terms: TermsText) -> None:
    """Keep a text of terms, for the node to show and for receipts."""
    folder = _folder(session, TERMS)
    write_atomic(folder / f"{terms.digest.hex()}.txt", terms.to_bytes(), mode=0o644)


def terms_text(home: Path, digest: bytes) -> TermsText | None:
    """Return a text of terms that this home has, None if it has not."""
    try:
        data = read_bytes(home / TERMS / f"{digest.hex()}.txt", limit=MAX_TERMS)
        return check_terms(data, digest)
    except (NotFound, BadInput, VerificationError):
        return None


def keep(session: Session, receipt: Receipt) -> Path:
    """Keep the receipt of a purchase; return where."""
    _folder(session, RECEIPTS)
    path = place(session, receipt.licence)
    write_atomic(path, receipt.to_bytes(), mode=0o644)
    return path


def place(session: Session, licence: LicenceId) -> Path:
    """Return where the receipt of a licence is, or would be."""
    return session.home.path / RECEIPTS / f"{licence}.json"


def kept(session: Session) -> list[Receipt]:
    """Return the receipts of this home, oldest first; one that is damaged is left out."""
    from usufruct.market.receipts import Receipt

    found = []
    for path in sorted((session.home.path / RECEIPTS).glob("*.json")):
        try:
            found.append(Receipt.from_bytes(read_bytes(path, limit=_MOST_RECEIPT)))
        except (NotFound, BadInput, VerificationError):
            continue  # the licence itself stands on the ledger
    return sorted(found, key=lambda receipt: receipt.time)


def kept_for(session: Session, licence: LicenceId) -> Receipt | None:
    """Return the receipt of a licence, None if this home has none."""
    return next((one for one in kept(session) if one.licence == licence), None)


def keep_allowed(session: Session, root: bytes, text: bytes) -> None:
    """Keep an allow list by its root, for the node to prove membership."""
    write_atomic(_folder(session, ALLOWED) / f"{root.hex()}.txt", text, mode=0o644)


def _folder(session: Session, name: str) -> Path:
    folder = session.home.path / name
    make_folder(folder)
    return folder
