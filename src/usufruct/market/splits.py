"""Who gets which part of an asset's income: making splits, parents' royalties, who must consent.

Shares are parts per million and always sum to the whole. The contract checks the same rules again;
here they are applied before anything is signed, with reasons that a person understands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeVar

from usufruct.errors import BadInput
from usufruct.ledger.bindings.splits import MAX_PAYEES, Split
from usufruct.market.pricing import format_percent, parse_percent
from usufruct.types import PPM, ZERO_ADDRESS, Address, AssetId, parse_address

_MAX_WEIGHT: Final = 80

Weight = str | int | Fraction
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ParentRoyalty:
    """What the ledger says about one parent when a child is registered.

    Parameters
    ----------
    asset, owner
        The parent and who owns it now.
    pay_to
        Where the parent's income goes: its split's wallet, or its owner.
    royalty
        The highest royalty of any offer ever made for it, in parts per million.
    claimed
        The royalty of the offer of a settled, valid licence that the registrar holds and shows,
        the lowest of several; None if he shows none. A licence to call cannot be shown.
    """

    asset: AssetId
    owner: Address
    pay_to: Address
    royalty: int
    claimed: int | None = None


def make_split(
    asset: AssetId, shares: Mapping[str, str | int], *, version: int = 1, fit: bool = False
) -> Split:
    """Return a split of an asset's income.

    Parameters
    ----------
    shares
        By payee's address: text as :func:`~usufruct.market.pricing.parse_percent` reads it, or
        parts per million as whole numbers.
    version
        1, and one more for each successor.
    fit
        Take the shares as weights of any fineness and round them to parts per million by largest
        remainder, as :func:`fit_shares` does.

    Raises
    ------
    BadInput
        No payee or more than 64, one twice, the zero address, a share of nothing, or shares that
        do not sum to the whole.
    """
    if fit:
        parts = fit_shares(shares)
    else:
        parts = {payee: _exact(payee, share) for payee, share in _by_payee(shares).items()}
        total = sum(parts.values())
        if total != PPM:
            raise BadInput(
                f"the shares sum to {format_percent(total)}, not to 100%",
                hint=f"{_gap(total)}; all shares together are 100%",
            )
    for payee, share in parts.items():
        if share < 1:
            raise BadInput(f"the share of {payee} is nothing", hint="leave the payee out")
    ordered = sorted(parts)
    return Split(asset, version, tuple(ordered), tuple(parts[payee] for payee in ordered))


def fit_shares(weights: Mapping[str, Weight]) -> dict[Address, int]:
    """Return the shares closest to the given weights that sum to the whole exactly.

    Every payee gets the whole parts per million of his weight; what is left goes, one part each,
    to those with the largest remainders, and among equals to the lower address.

    Parameters
    ----------
    weights
        By payee: decimals or percentages as text, whole numbers or fractions; not negative.

    Raises
    ------
    BadInput
        Not such weights, or all of them nothing.
    """
    found = {payee: _weight(payee, value) for payee, value in _by_payee(weights).items()}
    total = sum(found.values())
    if not total:
        raise BadInput("the weights of the shares sum to nothing")
    exact = {payee: weight * PPM / total for payee, weight in found.items()}
    shares = {payee: int(value) for payee, value in exact.items()}
    by_rest = sorted(exact, key=lambda payee: (shares[payee] - exact[payee], payee))
    for payee in by_rest[: PPM - sum(shares.values())]:
        shares[payee] += 1
    return shares


def due_royalties(parents: Iterable[ParentRoyalty], registrar: Address) -> dict[Address, int]:
    """Return what the split of a new asset must give at least, by payee, in parts per million.

    The contract's rule (``Splits._dues``): nothing for a parent that the registrar owns; else the
    royalty of the licence he shows; else the highest royalty the parent was ever offered with.
    Parents whose income goes to one address add up.
    """
    dues: dict[Address, int] = {}
    for parent in parents:
        if parent.owner == registrar:
            continue
        due = parent.royalty if parent.claimed is None else min(parent.royalty, parent.claimed)
        if due:
            dues[parent.pay_to] = dues.get(parent.pay_to, 0) + due
    return dues


def with_royalties(
    shares: Mapping[str, int], dues: Mapping[Address, int], maker: str
) -> dict[Address, int]:
    """Return shares that give every parent at least its due, the difference taken from the maker.

    Parameters
    ----------
    shares, dues
        Parts per million; `dues` as from :func:`due_royalties`.
    maker
        The payee who pays for it; left out of the result if nothing is left to him.

    Raises
    ------
    BadInput
        The maker's share does not suffice.
    """
    parts = _by_payee(shares)
    maker = parse_address(maker)
    missing = {to: due - parts.get(to, 0) for to, due in dues.items() if due > parts.get(to, 0)}
    if not missing:
        return parts
    needed = sum(missing.values())
    left = parts.get(maker, 0) - needed
    # the maker may be a parent's payee himself, and keeps that due
    if maker in missing or left < dues.get(maker, 0):
        raise BadInput(
            f"the parents are due {format_percent(sum(dues.values()))}, for which the "
            f"{format_percent(parts.get(maker, 0))} of {maker} do not suffice",
            hint=f"give him {format_percent(max(-left, 1))} more, or give it to the parents: "
            + ", ".join(f"{to} {format_percent(due)}" for to, due in sorted(dues.items())),
        )
    parts |= {to: dues[to] for to in missing}
    parts[maker] = left
    return {payee: share for payee, share in parts.items() if share}


def falling(old: Split, new: Split) -> tuple[Address, ...]:
    """Return the payees whose share falls from `old` to `new`, in the order their consent goes."""
    after = dict(zip(new.payees, new.shares, strict=True))
    pairs = zip(old.payees, old.shares, strict=True)
    return tuple(payee for payee, share in pairs if after.get(payee, 0) < share)


def _by_payee(shares: Mapping[str, T]) -> dict[Address, T]:
    if not 1 <= len(shares) <= MAX_PAYEES:
        raise BadInput(f"a split has from 1 to {MAX_PAYEES} payees, not {len(shares)}")
    found: dict[Address, T] = {}
    for text, share in shares.items():
        payee = parse_address(text)
        if payee == ZERO_ADDRESS:
            raise BadInput("the zero address cannot be a payee")
        if payee in found:
            raise BadInput(f"the split names {payee} twice", hint="add the two shares up")
        found[payee] = share
    return found


def _exact(payee: Address, share: str | int) -> int:
    if isinstance(share, str):
        return parse_percent(share)
    if type(share) is not int or not 0 <= share <= PPM:
        raise BadInput(f"the share of {payee} is not from 0 to {PPM} parts per million")
    return share


def _weight(payee: Address, value: Weight) -> Fraction:
    wrong = f"the weight of {payee} is not a number of at least nothing"
    if isinstance(value, str):
        # Fraction reads exponents, which could name a number of any size
        if len(value) > _MAX_WEIGHT or not value.isascii() or "e" in value.lower():
            raise BadInput(wrong)
        try:
            weight = Fraction(value.removesuffix("%"))
        except (ValueError, ZeroDivisionError):
            raise BadInput(wrong, hint="write it like 0.25, 25% or 1/3") from None
        weight = weight / 100 if value.endswith("%") else weight
    elif isinstance(value, bool) or not isinstance(value, (int, Fraction)):
        raise BadInput(wrong)
    else:
        weight = Fraction(value)
    if weight < 0:
        raise BadInput(wrong)
    return weight


def _gap(total: int) -> str:
    gap = format_percent(abs(PPM - total))
    return f"{gap} are missing" if total < PPM else f"{gap} are too much"
