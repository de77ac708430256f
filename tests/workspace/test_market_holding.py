"""Licences one has: renewed, ended, passed on, challenged, paid back; the clock is jumped."""

from __future__ import annotations

from typing import Any

import pytest
from tests.workspace.marketplace import DAY, Market

from usufruct.errors import BadInput, NotAllowed, NotFound, TransactionReverted
from usufruct.types import AssetId, Use
from usufruct.workspace import holding
from usufruct.workspace.trade import LicenceView

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", autouse=True)
def _rich(market: Market) -> None:
    market.rich("Bert", "Carol")


def licence(market: Market, title: str, **terms: Any) -> LicenceView:
    """Offer a new asset of Sally's, and have Bert buy it."""
    offer = market.offer("Sally", market.asset("Sally", title), **terms)
    with market.as_("Bert") as ws:
        bought = ws.market.buy(offer.id)
        return next(one for one in ws.market.licences() if one.licence == bought.licence)


def test_renewing_pays_and_lengthens(market: Market):
    held = licence(market, "by the month", price="2", period="30d")
    for_ever = licence(market, "for ever", price="1")
    counted = licence(market, "counted", price="1", uses=4)
    got = market.dollars("Sally")
    with market.as_("Bert") as ws:
        longer = ws.market.renew(held.licence)
        assert longer.expiry == held.expiry + 30 * DAY
        assert market.dollars("Sally") == got + 2_000_000
        # the start, the end and what tables show name it, if only one is so named
        short = f"{held.licence[:8]}…{held.licence[-4:]}"
        assert ws.market.renew(short).expiry == held.expiry + 60 * DAY
        assert ws.market.renew(counted.licence[:12]).uses == 8
        with pytest.raises(TransactionReverted, match="for ever"):
            ws.market.renew(for_ever.licence)
        with pytest.raises(BadInput, match="match"):
            ws.market.renew("0" * 15 + "1")
        with pytest.raises(NotFound):
            ws.market.renew("ab" * 32)
        # somebody else's is none of ours
    with market.as_("Carol") as ws, pytest.raises(NotFound):
        ws.market.renew(held.licence)
    with market.as_("Sally") as ws:
        ws.market.close(held.offer)
    with market.as_("Bert") as ws, pytest.raises(TransactionReverted, match="closed"):
        ws.market.renew(held.licence)


def test_an_ended_licence(market: Market):
    held = licence(market, "ends soon", price="1", period="1d", transferable=True)
    asset = AssetId(held.asset)
    with market.as_("Bert") as ws:
        assert holding.usable(ws, ws.index, asset, Use.COMPUTE).licence == held.licence
        with pytest.raises(NotFound, match="no licence"):
            holding.usable(ws, ws.index, asset, Use.DOWNLOAD)
        market.clock.jump(DAY)
        assert {one.licence: one.state for one in ws.market.licences()}[held.licence] == "expired"
        with pytest.raises(NotAllowed, match="ended"):
            holding.usable(ws, ws.index, asset, Use.COMPUTE)
        with pytest.raises(TransactionReverted):
            ws.market.transfer(held.licence, "Carol")
        # it can be had again, either way
        assert ws.market.buy(held.offer).licence != held.licence
        renewed = ws.market.renew(held.licence)
        assert renewed.state == "settled" and renewed.expiry >= market.clock() + DAY - 60


def test_the_licence_that_costs_least_is_used(market: Market):
    asset = market.asset("Sally", "two ways")
    counted = market.offer("Sally", asset, price="1", uses=2)
    ends = market.offer("Sally", asset, price="1", period="1d")
    with market.as_("Bert") as ws:
        ws.market.buy(counted.id)
        timed = ws.market.buy(ends.id)
        assert holding.usable(ws, ws.index, AssetId(asset), Use.COMPUTE).licence == timed.licence


def test_passing_on(market: Market):
    fixed = licence(market, "not to pass on", price="1")
    held = licence(market, "to pass on", price="1", transferable=True)
    carol = market.address("Carol")
    with market.as_("Bert") as ws:
        with pytest.raises(NotAllowed, match="not passed on"):
            ws.market.transfer(fixed.licence, "Carol")
        for to in (market.address("Bert"), "0x" + "0" * 40):
            with pytest.raises(BadInput, match="another party"):
                ws.market.transfer(held.licence, to)
        assert ws.market.transfer(held.licence, carol).holder == carol
        # the payer still sees it, but it is not his to pass on
        (seen,) = [one for one in ws.market.licences() if one.licence == held.licence]
        assert not seen.mine
        with pytest.raises(NotAllowed, match="held by"):
            ws.market.transfer(held.licence, market.address("Mallory"))
    with market.as_("Carol") as ws:
        assert ws.market.transfer(held.licence, market.address("Bert")).holder != carol
    with market.as_("Sally") as ws:
        sold = {one.licence: one for one in ws.market.licences(sold=True)}
        assert sold[held.licence].holder == market.address("Bert")
        assert ws.market.licences() == []


def test_a_price_that_waits(market: Market):
    good = licence(market, "released", price="3", refund="1h")
    bad = licence(market, "paid back", price="5", refund="1h")
    kind = licence(market, "given back", price="7", refund="1h")
    assert good.state == "window" and good.refund_deadline > market.clock()
    got, paid = market.dollars("Sally"), market.dollars("Bert")
    with market.as_("Bert") as ws:
        with pytest.raises(TransactionReverted):
            ws.market.refund(bad.licence)
        with pytest.raises(TransactionReverted):
            ws.market.renew(bad.licence)
        assert ws.market.challenge(bad.licence).state == "challenged"
        with pytest.raises(TransactionReverted, match="before"):
            ws.market.challenge(bad.licence)
        with pytest.raises(TransactionReverted):
            ws.market.refund(bad.licence)
    with market.as_("Sally") as ws:
        assert ws.market.refund(kind.licence).state == "refunded"
        assert market.dollars("Bert") == paid + 7_000_000
        with pytest.raises(TransactionReverted):
            ws.market.release(good.licence)
        rows = [row for row in ws.market.income().rows if row.title == "released"]
        assert [row.state for row in rows] == ["waits for the refund window"]
    market.clock.jump(3601)
    with market.as_("Bert") as ws:
        with pytest.raises(TransactionReverted):
            ws.market.challenge(good.licence)
        assert ws.market.refund(bad.licence).state == "refunded"
        assert market.dollars("Bert") == paid + 12_000_000
        with pytest.raises(NotAllowed, match="refunded"):
            holding.usable(ws, ws.index, AssetId(bad.asset), Use.COMPUTE)
        for again in (ws.market.refund, ws.market.challenge, ws.market.release):
            with pytest.raises(TransactionReverted):
                again(bad.licence)
        # what was paid back can be bought again
        assert ws.market.buy(bad.offer).licence != bad.licence
    with market.as_("Sally") as ws:
        assert ws.market.release(good.licence).state == "settled"
        assert market.dollars("Sally") == got + 3_000_000
        titles = {row.title: row.state for row in ws.market.income().rows}
        assert titles["released"] == "paid" and "given back" not in titles
