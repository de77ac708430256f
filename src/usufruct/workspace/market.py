"""What a workspace's ``market`` does: sell, buy, download, share income. Rules stand below."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usufruct.errors import NotFound
from usufruct.types import Address, AssetKind, Use
from usufruct.workspace import (
    buying,
    downloading,
    earning,
    holding,
    offering,
    shopping,
    splitting,
    withdrawing,
)
from usufruct.workspace.money import TEST_DOLLAR, Tokens
from usufruct.workspace.session import Session
from usufruct.workspace.trade import (
    Bought,
    Downloaded,
    LicenceView,
    Listing,
    OfferView,
    Proposal,
    SplitView,
    Withdrawn,
)

if TYPE_CHECKING:
    from usufruct.workspace.earning import Income


def _agreed(offer: OfferView, terms: str | None, holder: Address) -> None:
    """Agree: who calls a library has read the offer before."""


class Market:
    """One party's dealings on its ledger; reached as ``workspace.market``."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def _market(self) -> Session:
        """The session, if its ledger has the contracts of the market (NotFound)."""
        if self._session.has_ledger and not splitting.has_market(self._session):
            raise NotFound(
                f"the ledger '{self._session.connection.network.name}' has no market: its "
                "contracts are of an older version of usufruct",
                hint="publishing, anchoring and verifying go on there; to sell and buy, join or "
                "set up another ledger",
            )
        return self._session

    def offer(self, asset: str, **terms: Any) -> OfferView:
        """Offer licences of an own asset; see :func:`usufruct.workspace.offering.offer`."""
        return offering.offer(self._market, asset, **terms)

    def close(self, offer: str) -> OfferView:
        """Sell no more licences under an offer."""
        return offering.close(self._market, offer)

    def search(
        self,
        words: str = "",
        *,
        node: str | None = None,
        kind: AssetKind | None = None,
        use: Use | None = None,
        limit: int = 50,
    ) -> list[Listing]:
        """Return assets on offer, newest first."""
        return shopping.search(self._market, words, node=node, kind=kind, use=use, limit=limit)

    def show(self, what: str, *, node: str | None = None) -> Listing:
        """Return one asset with all its offers and their terms."""
        return shopping.show(self._market, what, node=node)

    def buy(
        self,
        offer: str,
        *,
        for_: str | None = None,
        node: str | None = None,
        allow: Path | None = None,
        terms: bytes | None = None,
        again: bool = False,
        agree: buying.Agree = _agreed,
    ) -> Bought:
        """Buy a licence, for this party or another; see :func:`usufruct.workspace.buying.buy`."""
        return buying.buy(
            self._market,
            offer,
            for_=for_,
            node=node,
            allow=allow,
            terms=terms,
            again=again,
            agree=agree,
        )

    def licences(self, *, sold: bool = False) -> list[LicenceView]:
        """Return the licences this party holds or has paid for, or those it has sold."""
        return holding.listed(self._market, sold=sold)

    def renew(self, licence: str) -> LicenceView:
        """Pay for another period, or for as many uses again."""
        return holding.renew(self._market, licence)

    def challenge(self, licence: str) -> LicenceView:
        """Object to a purchase within its refund window."""
        return holding.challenge(self._market, licence)

    def refund(self, licence: str) -> LicenceView:
        """Take a price back, or give it back as the asset's owner."""
        return holding.refund(self._market, licence)

    def release(self, licence: str) -> LicenceView:
        """Settle a price whose refund window has passed."""
        return holding.release(self._market, licence)

    def transfer(self, licence: str, to: str) -> LicenceView:
        """Pass a licence on."""
        return holding.transfer(self._market, licence, to)

    def download(
        self,
        asset: str,
        *,
        output: Path | str | None = None,
        node: str | None = None,
        version: int | None = None,
    ) -> Downloaded:
        """Download a licensed asset; see :func:`usufruct.workspace.downloading.download`."""
        target = None if output is None else Path(output)
        return downloading.download(self._market, asset, output=target, node=node, version=version)

    def split(self, asset: str) -> SplitView:
        """Return where an asset's income goes, and what waits there."""
        return splitting.show(self._market, asset)

    def propose(self, asset: str, shares: Sequence[str], output: Path | str) -> Proposal:
        """Propose another split (``PARTY=20%`` each) as a file for its payees to sign."""
        return splitting.propose(self._market, asset, shares, Path(output))

    def sign(self, path: Path | str) -> Proposal:
        """Agree to a proposed split; the last signature puts it on the ledger."""
        return splitting.sign(self._market, Path(path))

    def withdraw(self, asset: str) -> Withdrawn:
        """Pay all payees of an asset what has come in."""
        return withdrawing.withdraw(self._market, asset)

    def income(self, *, everybody: bool = False) -> Income:
        """Return what came in for what, and who gets which part of it."""
        return earning.income(self._market, everybody=everybody)

    def faucet(self) -> dict[str, Any]:
        """Make test dollars for this party, where the ledger has them (NotFound)."""
        from usufruct.ledger.bindings import tokens

        session = self._market
        try:
            contract = session.connection.network.address(TEST_DOLLAR)
        except NotFound:
            raise NotFound(
                "this ledger has no test dollars: there, money is real",
                hint="a home's own ledger has them: usufruct init --network embedded",
            ) from None
        me = session.public.address
        session.connection.afford(me)
        receipt = session.ledger.transact(session.account, tokens.faucet(contract, me))
        known = Tokens(session.ledger)
        coin = known.at(contract)
        return {
            "address": me,
            "token": coin.symbol,
            "contract": contract,
            "balance": coin.text(known.balance(contract, me)).removesuffix(f" {coin.symbol}"),
            "transaction": receipt.tx_hash,
        }
