"""Splits: what a new asset owes its parents, who gets what, changing it, paying it out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from usufruct.errors import AlreadyExists, BadInput, NotAllowed, NotFound
from usufruct.market.pricing import format_percent
from usufruct.market.proposals import MAX_FILE, SplitProposal
from usufruct.market.splits import ParentRoyalty, due_royalties, make_split, with_royalties
from usufruct.store import write_atomic
from usufruct.types import PPM, Address, AssetId, Use
from usufruct.workspace import finding
from usufruct.workspace.given import read_given
from usufruct.workspace.output import check_output
from usufruct.workspace.session import Session
from usufruct.workspace.trade import Payee, Proposal, SplitView
from usufruct.workspace.wallets import waiting, wallet, wallets_of

if TYPE_CHECKING:
    from usufruct.ledger.bindings.offers import Offer
    from usufruct.ledger.bindings.splits import Claim
    from usufruct.ledger.index import Index
    from usufruct.ledger.records import SplitRecord


def has_market(session: Session) -> bool:
    """Whether the home's ledger has contracts for licences and splits."""
    return session.has_ledger and "Splits" in session.connection.network.contracts


def shares_with_royalties(
    session: Session, shares: Sequence[tuple[Address, str]], parents: Iterable[AssetId]
) -> list[tuple[Address, str]]:
    """Return the split of a new asset, with what its parents are due taken from its maker.

    Parameters
    ----------
    shares
        By payee, as text; empty is all to the maker.

    Returns
    -------
    list
        Empty if the maker gets all: then there is no split.
    """
    from usufruct.market.pricing import parse_percent

    me = session.public.address
    wanted: dict[str, int] = {payee: parse_percent(share) for payee, share in shares} or {me: PPM}
    dues, _ = owed_to_parents(session, parents)
    found = with_royalties(wanted, dues, me)
    if found == {me: PPM}:
        return []
    return [(payee, format_percent(share)) for payee, share in sorted(found.items())]


def owed_to_parents(
    session: Session, parents: Iterable[AssetId]
) -> tuple[dict[Address, int], list[Claim]]:
    """Return what parents are due of a new asset's income, and the licences that say so.

    A licence this party holds of a parent fixes the royalty that it was sold with, where that is
    less than the highest that was ever asked.
    """
    from usufruct.ledger.bindings import licences
    from usufruct.ledger.bindings.splits import Claim

    me, index = session.public.address, session.index
    contract = session.connection.network.address("Licences")
    found, claims = [], []
    for parent in sorted(set(parents)):
        record = index.asset(parent)
        if record is None or record.owner == me:
            continue
        royalty = session.ledger.call(licences.royalty_of(contract, parent))
        if not royalty:
            continue
        best = _best_licence(session, index, parent, royalty)
        if best is not None:
            claims.append(Claim(best[1], best[0]))
        found.append(
            ParentRoyalty(
                parent,
                record.owner,
                session.ledger.call(licences.pay_to(contract, parent)),
                royalty,
                None if best is None else best[0].royalty,
            )
        )
    return due_royalties(found, me), claims


def opening(
    session: Session, asset: AssetId, shares: Sequence[tuple[Address, str]], parents: list[AssetId]
) -> tuple[bytes, bytes]:
    """Return the hash of a new asset's split and what shows it to the contract; empty without."""
    from usufruct.ledger.bindings import licences, splits

    if not shares:
        return bytes(32), b""
    made = make_split(asset, dict(shares))
    _, claims = owed_to_parents(session, parents)
    return made.digest, licences.encode_terms(splits.encode_opening(made, claims), [])


def show(session: Session, asset: str) -> SplitView:
    """Return where an asset's income goes and what waits there, own money and others'."""
    index = session.index
    found = finding.asset(session, index, asset)
    title = finding.titles(session).get(found.asset, "")
    record = _current(index, found.asset)
    if record is None:
        payees = [(found.owner, PPM)]
        return SplitView(
            found.asset, title, found.owner, None, 0, _payees(session, index, payees), ()
        )
    place = wallet(session, record.split)
    pairs = list(zip(record.split.payees, record.split.shares, strict=True))
    return SplitView(
        found.asset,
        title,
        place,
        record.digest.hex(),
        record.split.version,
        _payees(session, index, pairs),
        tuple(waiting(session, index, record.split)),
    )


def propose(session: Session, asset: str, shares: Sequence[str], output: Path) -> Proposal:
    """Write a proposal for another split, signed by this party where its own share falls.

    Parameters
    ----------
    shares
        ``PARTY=20%`` each; all of them together are the new split.

    Raises
    ------
    BadInput
        The shares are not 100% together, or a payee cannot be told.
    NotAllowed
        The asset has no split, and this party does not own it.
    """
    target = check_output(output, force=False)
    index = session.index
    found = finding.asset(session, index, asset)
    wanted: dict[str, str | int] = {}
    for item in shares:
        who, equals, share = item.rpartition("=")
        if not equals or not who:
            raise BadInput(f"'{item}' is not a share", hint="write it like 'Clinic=20%'")
        payee = _payee_of(session, index, who)
        if payee in wanted:
            raise BadInput(f"{who} is named twice", hint="add the two shares up")
        wanted[payee] = share
    record = _current(index, found.asset)
    if record is None:
        return _first(session, index, found.asset, found.owner, wanted, target)
    new = make_split(found.asset, wanted, version=record.split.version + 1)
    if (new.payees, new.shares) == (record.split.payees, record.split.shares):
        raise AlreadyExists("that is the split there is")
    network = session.connection.network
    made = SplitProposal(network.chain_id, network.address("Splits"), record.split, new)
    _check_can_sign(session, index, made)
    if session.public.address in made.missing:
        made = made.sign(session.account)
    return _settle(session, index, made, target)


def sign(session: Session, path: Path) -> Proposal:
    """Agree to a proposal; when nobody's consent is missing, put it on the ledger.

    Raises
    ------
    NotAllowed
        This party's share does not fall, and others' consent is missing.
    VerificationError
        A signature in the file does not hold.
    BadInput
        The file is no proposal, or one for another ledger or split.
    """
    made = SplitProposal.from_bytes(read_given(path, "a proposal", limit=MAX_FILE))
    made.verify()
    index, network = session.index, session.connection.network
    if (made.chain_id, made.contract) != (network.chain_id, network.address("Splits")):
        raise BadInput("the proposal is for another ledger")
    record = _current(index, made.old.asset)
    if record is not None and record.split == made.new:
        raise AlreadyExists("the proposal is on the ledger already", hint="usufruct split show")
    if record is None or record.split != made.old:
        raise BadInput(
            "the proposal changes a split that is not in force any more",
            hint="have it proposed anew: usufruct split propose",
        )
    if session.public.address in made.missing:
        made = made.sign(session.account)
    elif made.missing and session.public.address in made.signatures:
        raise AlreadyExists(
            "this party has signed the proposal already",
            hint="it waits for " + ", ".join(made.missing[:4]),
        )
    elif made.missing:
        raise NotAllowed(
            "the proposal takes nothing from this party, so it has nothing to sign",
            hint="it waits for " + ", ".join(made.missing[:4]),
        )
    return _settle(session, index, made, path)


def _best_licence(
    session: Session, index: Index, parent: AssetId, royalty: int
) -> tuple[Offer, int] | None:
    """Return the offer and serial number of the held licence with the lowest royalty."""
    now = session.clock()
    best: tuple[Offer, int] | None = None
    for one in index.licences(holder=session.public.address, asset=parent):
        offer = index.offer(one.offer_id)
        if offer is None or one.state != "settled" or (one.expiry and one.expiry <= now):
            continue
        if offer.offer.use not in (Use.LEARN, Use.COMPUTE, Use.DOWNLOAD):
            continue
        if offer.offer.royalty <= royalty and (
            best is None or offer.offer.royalty < best[0].royalty
        ):
            best = (offer.offer, one.serial)
    return best


def _first(
    session: Session,
    index: Index,
    asset: AssetId,
    owner: Address,
    wanted: dict[str, str | int],
    target: Path,
) -> Proposal:
    """Give an asset its first split: its owner alone decides, for all of it was his."""
    from usufruct.ledger.bindings import assets, licences, splits

    if owner != session.public.address:
        raise NotAllowed("the asset has no split yet, and only its owner can give it one")
    made = make_split(asset, wanted)
    contract = session.connection.network.address("Assets")
    session.connection.afford(session.public.address)
    terms = licences.encode_terms(splits.encode_opening(made), [])
    call = assets.fix_split(contract, asset, split_hash=made.digest, terms=terms)
    transaction = session.ledger.transact(session.account, call).tx_hash
    pairs = list(zip(made.payees, made.shares, strict=True))
    payees = _payees(session, index, pairs)
    return Proposal(asset, str(target), 1, payees, (), transaction)


def _settle(session: Session, index: Index, made: SplitProposal, path: Path) -> Proposal:
    """Write a proposal to its file; submit it once all consent."""
    from usufruct.ledger.bindings import splits

    write_atomic(path, made.to_bytes(), mode=0o644)
    transaction = None
    if not made.missing:
        session.connection.afford(session.public.address)
        call = splits.succeed(made.contract, made.old, made.new, made.consents())
        transaction = session.ledger.transact(session.account, call).tx_hash
    pairs = list(zip(made.new.payees, made.new.shares, strict=True))
    old = dict(zip(made.old.payees, made.old.shares, strict=True))
    return Proposal(
        made.new.asset,
        str(path),
        made.new.version,
        _payees(session, index, pairs),
        _payees(session, index, [(payee, old[payee]) for payee in made.missing]),
        transaction,
    )


def _payee_of(session: Session, index: Index, who: str) -> Address:
    """Return a payee: a party, or the wallet of another asset's split by ``asset:TITLE``."""
    if not who.startswith("asset:"):
        return finding.party(session, index, who)
    from usufruct.ledger.bindings import licences

    asset = finding.asset(session, index, who.removeprefix("asset:"), proven=True)
    contract = session.connection.network.address("Licences")
    return session.ledger.call(licences.pay_to(contract, asset.asset))


def _current(index: Index, asset: AssetId) -> SplitRecord | None:
    """Return the split in force, None where the owner gets all."""
    known = index.asset(asset)
    if known is None or not any(known.split_hash):
        return None
    found = index.split(known.split_hash)
    if found is None:
        raise NotFound(f"the payees of the asset {asset[:16]} were never shown on this ledger")
    return found


def _check_can_sign(session: Session, index: Index, made: SplitProposal) -> None:
    """Refuse a proposal that nobody can ever complete: the wallet of a split signs nothing."""
    wallets = wallets_of(session, index)
    for payee in made.needed:
        if payee in wallets:
            share = made.old.shares[made.old.payees.index(payee)]
            raise NotAllowed(
                f"the share of the asset {wallets[payee].asset[:16]} cannot fall: its income is "
                "divided by a split, which signs nothing",
                hint=f"leave it its {format_percent(share)}",
            )


def _payees(
    session: Session, index: Index, pairs: Sequence[tuple[Address, int]]
) -> tuple[Payee, ...]:
    names, wallets = finding.names(session, index), wallets_of(session, index)
    titles = finding.titles(session)
    found = []
    for address, ppm in pairs:
        nested = wallets.get(address)
        name = names.get(address, "")
        if nested is not None:
            name = f"split of {titles.get(nested.asset, nested.asset[:8])}"
        asset = None if nested is None else nested.asset
        found.append(Payee(address, name, ppm, format_percent(ppm), asset))
    return tuple(found)
