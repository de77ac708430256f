"""Buying: what is paid and who gets the licence; lies, crashes and clumsy buyers cost nothing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.workspace.marketplace import Market, liar
from tests.workspace.test_market_offering import kill

from usufruct.errors import (
    AlreadyExists,
    BadInput,
    NotAllowed,
    NotFound,
    Unavailable,
    UsufructError,
    VerificationError,
)
from usufruct.ledger.bindings import tokens
from usufruct.market.receipts import Receipt
from usufruct.types import Use
from usufruct.workspace.trade import OfferView

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", autouse=True)
def _rich(market: Market) -> None:
    market.rich("Bert")


@pytest.fixture(scope="module")
def asset(market: Market) -> str:
    return market.asset("Sally", "for sale")


def sent(market: Market, name: str) -> int:
    count = market.server.engine.request(
        "eth_getTransactionCount", [market.address(name), "latest"]
    )
    return int(count, 16)


def test_one_transaction_by_permit_by_allowance_and_in_coin(market: Market, asset: str):
    offer = market.offer("Sally", asset, price="5", period="30d")
    paid, got, before = market.dollars("Bert"), market.dollars("Sally"), sent(market, "Bert")
    with market.as_("Bert") as ws:
        bought = ws.market.buy(offer.id)
        assert sent(market, "Bert") == before + 1
        assert bought.expiry - 30 * 86400 <= market.clock()
        receipt = Receipt.from_bytes(Path(bought.receipt).read_bytes())
        receipt.check_offer(offer.id)
        assert (receipt.licence, receipt.holder) == (bought.licence, ws.public.address)
        # a standing allowance is used before anything is signed
        allow = tokens.approve(market.dollar, market.contract, 7_000_000)
        ws.ledger.transact(ws.account, allow)
        ws.market.buy(offer.id, again=True)
        left = tokens.allowance(market.dollar, ws.public.address, market.contract)
        assert ws.ledger.call(left) == 2_000_000
        # what is left of it does not suffice: a permit sets it anew
        ws.market.buy(offer.id, again=True)
        assert sent(market, "Bert") == before + 4
    assert (market.dollars("Bert"), market.dollars("Sally")) == (
        paid - 15_000_000,
        got + 15_000_000,
    )
    coin = market.offer("Sally", asset, price="0.25", token="ether")
    with market.as_("Bert") as ws:
        owner = market.address("Sally")
        before = ws.ledger.balance(owner)
        assert ws.market.buy(coin.id).price_text == "0.25 ether"
        assert ws.ledger.balance(owner) == before + 25 * 10**16


def test_tokens_without_permit_take_an_allowance(market: Market):
    token = market.token()
    asset = market.asset("Sally", "for gold")
    offer = market.offer("Sally", asset, token=token, price="3")
    assert token[:10] in offer.price_text
    with market.as_("Bert") as ws:
        with pytest.raises(NotAllowed, match="has 0"):
            ws.market.buy(offer.id)
        market.send(
            "Mallory", token, "mint(address,uint256)", int(ws.public.address, 16), 9_000_000
        )
        before = sent(market, "Bert")
        ws.market.buy(offer.id)
        assert sent(market, "Bert") == before + 2
        assert ws.ledger.call(tokens.allowance(token, ws.public.address, market.contract)) == 0
        assert ws.ledger.call(tokens.balance_of(token, market.address("Sally"))) == 3_000_000


def test_a_token_that_tells_of_licences_is_not_listened_to(market: Market):
    """During the payment it emits what Licences would, with another's licence in it."""
    token = market.token()
    asset = market.asset("Mallory", "trap")
    offer = market.offer("Mallory", asset, token=token, price="1")
    for name in ("Mallory", "Bert"):
        address = int(market.address(name), 16)
        market.send("Mallory", token, "mint(address,uint256)", address, 9_000_000)
    with market.as_("Mallory") as ws:
        first = ws.market.buy(offer.id)
    market.send("Mallory", token, "tell(uint256)", int(first.licence, 16))
    with market.as_("Bert") as ws:
        bought = ws.market.buy(offer.id)
        assert bought.licence == offer.id + "2".zfill(16)
        assert bought.holder == ws.public.address


def test_what_cannot_be_bought(market: Market, asset: str):
    offer = market.offer("Sally", asset, price="2", cap=1)
    dear = market.offer("Sally", asset, price="100000")
    coin = market.offer("Sally", asset, price="100000", token="ether")
    with market.as_("Bert") as ws:
        for one in (dear, coin):
            with pytest.raises(NotAllowed, match="the price is") as caught:
                ws.market.buy(one.id)
        assert "faucet" not in str(caught.value.hint)
        for wrong, error in (("abc", BadInput), ("no", BadInput), ("ab" * 24, NotFound)):
            with pytest.raises(error):
                ws.market.buy(wrong)
        ws.market.buy(offer.id)
    market.rich("Carol")
    with market.as_("Carol") as ws, pytest.raises(NotAllowed, match="sold") as caught:
        ws.market.buy(offer.id)
    with market.as_("Sally") as ws:
        ws.market.close(dear.id)
    other = market.asset("Sally", "leaving")
    last = market.offer("Sally", other, price="1")
    with market.as_("Sally") as ws:
        ws.retire(other)
    with market.as_("Carol") as ws:
        with pytest.raises(NotAllowed, match="closed"):
            ws.market.buy(dear.id)
        with pytest.raises(NotAllowed, match="retired"):
            ws.market.buy(last.id)
    # nothing at all: not even for gas
    with market.as_("Pete") as ws, pytest.raises(NotAllowed) as caught:
        ws.market.buy(market.offer("Sally", asset, price="3").id)
    assert caught.value.hint == "usufruct faucet"


def test_for_another_party(market: Market, asset: str):
    offer = market.offer("Sally", asset, price="1", uses=3)
    seen: list[str] = []

    def agree(offer: OfferView, terms: str | None, holder: str) -> None:
        seen.append(holder)

    with market.as_("Bert") as ws:
        carol = market.address("Carol")
        by_name = ws.market.buy(offer.id, for_="Carol", agree=agree)
        assert (by_name.holder, by_name.payer) == (carol, ws.public.address)
        with pytest.raises(AlreadyExists, match=carol):
            ws.market.buy(offer.id, for_=carol)
        ws.market.buy(offer.id, for_=carol, again=True, agree=agree)
        stranger = "0x" + "Ab" * 20
        assert ws.market.buy(offer.id, for_=stranger, agree=agree).holder == stranger.lower()
        assert seen == [carol, carol, stranger.lower()]
        for wrong in ("Nobody", "", "0x12", "carol"):
            with pytest.raises((NotFound, BadInput)):
                ws.market.buy(offer.id, for_=wrong)
        # a second one of that name
        dora = market.address("Dora")
        assert ws.market.buy(offer.id, for_="Dora").holder == dora
        market.named(market.folder / "twin", "Dora")
        with pytest.raises(BadInput, match="2 parties") as caught:
            ws.market.buy(offer.id, for_="Dora", again=True)
        assert dora in str(caught.value.hint)
        mine = {one.licence: one for one in ws.market.licences()}[by_name.licence]
        assert not mine.mine and mine.receipt
    with market.as_("Carol") as ws:
        held = {one.licence: one for one in ws.market.licences()}
        assert held[by_name.licence].mine
        # its receipt is made from what the ledger says
        receipt = Receipt.from_bytes(Path(held[by_name.licence].receipt).read_bytes())
        assert (receipt.holder, receipt.payer) == (carol, market.address("Bert"))


def test_allow_lists(market: Market, asset: str, tmp_path: Path):
    listed, other = tmp_path / "list", tmp_path / "other"
    listed.write_text(f"{market.address('Bert')}\n{market.address('Pete')} # and Pete\n")
    other.write_text(f"{market.address('Carol')}\n")
    offer = market.offer("Sally", asset, price="1", allow=listed)
    assert "listed" in offer.words
    with market.as_("Bert") as ws:
        with pytest.raises(NotFound, match="list is not here"):
            ws.market.buy(offer.id)
        with pytest.raises(NotAllowed, match="not the list"):
            ws.market.buy(offer.id, allow=other)
        with pytest.raises(NotFound):
            ws.market.buy(offer.id, allow=tmp_path / "none")
        with pytest.raises(NotFound, match="not on the allow list"):
            ws.market.buy(offer.id, allow=listed, for_=market.address("Carol"))
        assert ws.market.buy(offer.id, allow=listed).licence
        assert ws.market.buy(offer.id, allow=listed, for_="Pete").holder == market.address("Pete")


def test_no_money_moves_without_the_very_terms(market: Market, tmp_path: Path):
    text = "You may look,\nbut not touch.\n"
    (tmp_path / "terms").write_text(text)
    asset = market.asset("Sally", "with terms")
    offer = market.offer("Sally", asset, price="4", terms=tmp_path / "terms")
    before, count = market.dollars("Bert"), sent(market, "Bert")
    seen: list[str | None] = []

    def refuse(offer: OfferView, terms: str | None, holder: str) -> None:
        seen.append(terms)
        raise NotAllowed("no, thanks")

    def lie(path: str) -> bytes:
        return b"Send me all you have.\n" if "/terms/" in path else b"{}"

    with market.as_("Bert") as ws:
        # no node is named on the ledger, or the one that another test has run there is gone
        with pytest.raises((VerificationError, Unavailable)):
            ws.market.buy(offer.id)
        with liar(lie) as url, pytest.raises(VerificationError, match="other terms"):
            ws.market.buy(offer.id, node=url)
        with pytest.raises(Unavailable):
            ws.market.buy(offer.id, node="http://127.0.0.1:1")
        with pytest.raises(VerificationError):
            ws.market.buy(offer.id, terms=text.strip().encode())
        with pytest.raises(NotAllowed, match="thanks"):
            ws.market.buy(offer.id, terms=text.encode(), agree=refuse)
        assert seen == [text]
        plain = market.offer("Sally", asset, price="1")
        with pytest.raises(VerificationError, match="has none"):
            ws.market.buy(plain.id, terms=b"some")
        assert (market.dollars("Bert"), sent(market, "Bert")) == (before, count)
        bought = ws.market.buy(offer.id, terms=text.encode())
        terms = Receipt.from_bytes(Path(bought.receipt).read_bytes()).terms
        assert terms is not None and terms.text == text
        shown = ws.market.show(asset)
        assert shown.terms == {offer.terms: text}


def test_a_node_with_endless_titles_does_not_spoil_the_receipt(market: Market):
    asset = market.asset("Sally", "titled")
    offer = market.offer("Sally", asset, price="1")
    for title in (b"x" * 5000, b"half \\ud800 a character", b"bell \\u0007", b""):
        with liar(lambda path, t=title: b'{"title": "%s"}' % t) as url, market.as_("Bert") as ws:
            bought = ws.market.buy(offer.id, node=url, again=True)
            assert Receipt.from_bytes(Path(bought.receipt).read_bytes()).title == bought.title
            assert 0 < len(bought.title) <= 200 and bought.title.isprintable()


def test_killed_after_the_payment(market: Market, tmp_path: Path):
    (tmp_path / "terms").write_text("Terms.\n")
    asset = market.asset("Sally", "paid for")
    offer = market.offer("Sally", asset, price="1", terms=tmp_path / "terms")
    kill(market.home("Bert"), "before", f"ws.market.buy({offer.id!r}, terms=b'Terms.\\n')")
    with market.as_("Bert") as ws:
        assert offer.id not in {one.offer for one in ws.market.licences()}
    kill(market.home("Bert"), "after", f"ws.market.buy({offer.id!r}, terms=b'Terms.\\n')")
    receipts = market.home("Bert") / "purchases"
    assert not list(receipts.glob(f"{offer.id}*"))
    with market.as_("Bert") as ws:
        # who does not know that it went through pays once only
        with pytest.raises(AlreadyExists) as caught:
            ws.market.buy(offer.id)
        assert "--again" in str(caught.value.hint)
        (held,) = [one for one in ws.market.licences() if one.offer == offer.id]
        made = Receipt.from_bytes(Path(str(held.receipt)).read_bytes())
        assert made.licence == held.licence and made.terms is not None
        # one that is spoilt or cut short is no receipt, and is made again
        Path(str(held.receipt)).write_bytes(made.to_bytes()[:-9])
        (again,) = [one for one in ws.market.licences() if one.offer == offer.id]
        assert Path(str(again.receipt)).read_bytes() == made.to_bytes()


def test_asking_a_ledger_of_which_the_home_knows_nothing(plain_home: Path):
    from usufruct.workspace import open_home

    with open_home(plain_home, write=False) as ws:
        asks: list[Any] = [
            lambda: ws.market.search(),
            lambda: ws.market.licences(),
            lambda: ws.market.buy("abcdef"),
            lambda: ws.market.offer("abcdef", use=Use.CALL, price="1"),
            lambda: ws.market.income(),
            lambda: ws.market.split("abcdef"),
            lambda: ws.market.faucet(),
        ]
        for ask in asks:
            with pytest.raises(UsufructError) as caught:
                ask()
            assert caught.value.hint
