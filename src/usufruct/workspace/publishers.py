"""Who stands behind what was verified, and whether it is whom the reader expected.

Anybody can publish anything under his own key and call himself what he likes, so a verification
says only as much as its reader knows of the publisher. Names are looked up among the parties this
home knows, never in the evidence that is being verified.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from usufruct.errors import BadInput, Mismatch, VerificationError
from usufruct.evidence.anchoring import owner_of
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.predicates import Party
from usufruct.evidence.report import Report
from usufruct.evidence.statements import read_statement
from usufruct.types import Address, parse_address
from usufruct.workspace import gathering
from usufruct.workspace.session import Session


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who signed what a bundle claims.

    Parameters
    ----------
    address
        The account; of a prediction, of who answered.
    name
        What it calls itself: proves nothing.
    expected
        True if the reader named it beforehand.
    """

    address: Address
    name: str
    expected: bool

    def __str__(self) -> str:
        return f"{self.name} ({self.address})"


def publisher(
    bundle: Bundle, report: Report, by: Sequence[str], session: Session | None
) -> Publisher:
    """Return who signed the claimed statement, after holding it against whom was expected.

    Parameters
    ----------
    by
        Accounts, or names of parties that this home knows; any of them will do. Empty expects
        nobody in particular.

    Raises
    ------
    VerificationError
        It is somebody else.
    BadInput
        A name that this home does not know.
    """
    origin = next(
        item.origin
        for item in bundle.statements
        if read_statement(item.envelope).digest == bundle.claim.statement
    )
    address = owner_of(origin)
    shown = (name for step in report.steps for name in step.by)
    found = next((name for name in shown if name.endswith(f"({address})")), str(address))
    name = found.removesuffix(f" ({address})")
    expected = {_address(text, session) for text in by}
    if expected and address not in expected:
        raise VerificationError(
            f"this is published by {name} ({address}), not by {' or '.join(by)}",
            mismatches=(Mismatch("publisher", party=found, detail="another party signed it"),),
            hint="get it from the party you expected, or ask it whether this account is its own",
        )
    return Publisher(address, name, bool(expected))


def _address(text: str, session: Session | None) -> Address:
    if text.lower().startswith("0x"):
        return parse_address(text)
    known: set[Address] = set()
    if session is not None:
        known |= {k.public.address for k in session.home.identities() if k.public.name == text}
        for _, predicate in gathering.statements(session):
            if isinstance(predicate, Party) and predicate.identity.name == text:
                known.add(predicate.identity.address)
    if len(known) != 1:
        what = "several parties call themselves" if known else "this home knows no party called"
        raise BadInput(f"{what} '{text}'", hint="give the account, 0x and 40 digits")
    return known.pop()
