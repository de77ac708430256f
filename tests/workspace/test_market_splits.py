"""Splits: agreed to by those who lose, paid through to the last payee, counted to the last unit."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from tests.workspace.marketplace import Market

from usufruct.errors import (
    AlreadyExists,
    BadInput,
    NotAllowed,
    NotFound,
    TransactionReverted,
    VerificationError,
)
from usufruct.market.proposals import SplitProposal

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", autouse=True)
def _rich(market: Market) -> None:
    market.rich("Bert", "Carol")


def split(market: Market, asset: str, *shares: str, owner: str = "Sally") -> str:
    """Give an asset its first split; return where its income goes."""
    with market.as_(owner) as ws:
        path = market.folder / f"{asset}.json"
        made = ws.market.propose(asset, shares, path)
        assert made.transaction and made.missing == () and not path.exists()
        return ws.market.split(asset).pay_to


def test_a_first_split_is_the_owners_alone(market: Market, tmp_path: Path):
    asset = market.asset("Sally", "unsplit")
    with market.as_("Bert") as ws:
        shown = ws.market.split(asset)
        assert (shown.pay_to, shown.version, shown.waiting) == (market.address("Sally"), 0, ())
        with pytest.raises(NotFound, match="owner is paid"):
            ws.market.withdraw(asset)
        with pytest.raises(NotAllowed, match="only its owner"):
            ws.market.propose(asset, ["Bert=100%"], tmp_path / "p")
    with market.as_("Sally") as ws:
        for shares in (
            ["Sally=60%", "Bert=30%"],
            ["Sally=60%", "Sally=40%"],
            ["Sally"],
            ["=100%"],
            ["Sally=0.60", "Bert=41%"],
            ["Sally=100%", "Bert=0%"],
            ["Sally=one"],
            [],
        ):
            with pytest.raises(BadInput):
                ws.market.propose(asset, shares, tmp_path / "p")
        with pytest.raises(NotFound, match="Nobody"):
            ws.market.propose(asset, ["Nobody=100%"], tmp_path / "p")
        (tmp_path / "there").touch()
        with pytest.raises(AlreadyExists):
            ws.market.propose(asset, ["Sally=100%"], tmp_path / "there")
    split(market, asset, "Sally=60%", "Bert=40%")
    with market.as_("Sally") as ws:
        with pytest.raises(AlreadyExists, match="split there is"):
            ws.market.propose(asset, ["Bert=40%", "Sally=60%"], tmp_path / "p")
        names = [(payee.name, payee.share) for payee in ws.market.split(asset).payees]
        assert sorted(names) == [("Bert", "40%"), ("Sally", "60%")]


def test_whoever_loses_has_to_sign(market: Market, tmp_path: Path):
    asset = market.asset("Sally", "agreed")
    split(market, asset, "Sally=50%", "Bert=30%", "Carol=20%")
    file = tmp_path / "proposal.json"
    with market.as_("Mallory") as ws:  # anybody may propose
        made = ws.market.propose(
            asset, ["Sally=40%", f"{market.address('Bert')}=20%", "Carol=40%"], file
        )
        assert {payee.name for payee in made.missing} == {"Sally", "Bert"}
        assert made.transaction is None
        good = file.read_bytes()
        with pytest.raises(NotAllowed, match="nothing to sign"):
            ws.market.sign(file)
    with market.as_("Carol") as ws, pytest.raises(NotAllowed, match="nothing to sign"):
        ws.market.sign(file)
    with market.as_("Bert") as ws:
        signed = ws.market.sign(file)
        assert [payee.name for payee in signed.missing] == ["Sally"]
        with pytest.raises(AlreadyExists, match="signed") as caught:
            ws.market.sign(file)
        assert market.address("Sally") in str(caught.value.hint)
    kept = file.read_bytes()
    with market.as_("Sally") as ws:
        proposal = SplitProposal.from_bytes(kept)
        signature = proposal.signatures[market.address("Bert")].hex()
        for wrong, error in (
            (kept.replace(signature.encode(), b"1" * 130), VerificationError),
            (kept.replace(b"200000", b"100000", 1), (BadInput, VerificationError)),
            (kept[:-1], BadInput),
            (b"[" * 100_000, BadInput),
            (b"", BadInput),
        ):
            file.write_bytes(wrong)
            with pytest.raises(error):
                ws.market.sign(file)
        with pytest.raises(NotFound):
            ws.market.sign(tmp_path / "none")
        file.write_bytes(kept)
        done = ws.market.sign(file)
        assert done.transaction and done.missing == () and done.version == 2
        with pytest.raises(AlreadyExists, match="on the ledger"):
            ws.market.sign(file)
        # one that was overtaken
        ws.market.propose(asset, ["Sally=60%", "Bert=10%", "Carol=30%"], file.with_suffix(".3"))
        file.write_bytes(good)
        shares = {payee.name: payee.share for payee in ws.market.split(asset).payees}
        assert shares == {"Sally": "40%", "Bert": "20%", "Carol": "40%"}
    with market.as_("Carol") as ws:
        made = ws.market.propose(asset, ["Sally=50%", "Bert=50%"], file.with_suffix(".4"))
        assert [payee.name for payee in made.missing] == []
        assert made.transaction
        with pytest.raises(BadInput, match="not in force"):
            ws.market.sign(file.with_suffix(".3"))


def test_every_unit_arrives_through_nested_splits(market: Market):
    """What income says is paid is what balances have gained, for random shares and prices."""
    chance = random.Random(3)
    inner = market.asset("Sally", "inner")
    outer = market.asset("Sally", "outer")
    top = market.asset("Sally", "top")
    names = ("Sally", "Carol", "Nora", "Olaf")
    before = {name: market.dollars(name) for name in names}
    split(market, inner, "Sally=33.3333%", "Nora=66.6667%")
    split(market, outer, "asset:inner=10.0001%", "Carol=57.1429%", "Olaf=32.857%")
    wallet = split(market, top, "asset:outer=70%", "asset:inner=29.9999%", "Nora=0.0001%")
    assets = {inner, outer, top}
    with market.as_("Sally") as ws:
        assert {payee.asset for payee in ws.market.split(top).payees} == {inner, outer, None}
        price = [f"{chance.randint(1, 10**7) / 10**6:.6f}" for _ in range(4)]
        offers = [
            ws.market.offer(asset, use="compute", price=text)
            for asset, text in zip((top, top, outer, inner), price, strict=True)
        ]
    total = 0
    with market.as_("Bert") as ws:
        for offer in offers[:2]:
            ws.market.buy(offer.id)
            total += offer.price
        assert market.dollars(wallet) == total
        (waiting,) = ws.market.split(top).waiting
        assert waiting.amount == total
        done = ws.market.withdraw(top)
        assert len(done.transactions) >= 3 and all(one.paid for one in done.payments)
        for offer in offers[2:]:
            ws.market.buy(offer.id)
            total += offer.price
        ws.market.withdraw(outer)
        rows = ws.market.income(everybody=True).rows
        assert ws.market.withdraw(outer).transactions == ()
    paid: Counter[str] = Counter()
    left = 0
    for row in rows:
        if row.asset not in assets:
            continue
        units = round(float(row.amount.split()[0]) * 10**6)
        if row.state == "paid":
            paid[row.payee_name] += units
        else:
            left += units
    gained = {name: market.dollars(name) - before[name] for name in names}
    assert {name: paid[name] for name in names} == gained
    assert sum(paid.values()) + left == total


def test_a_split_as_payee_cannot_lose(market: Market, tmp_path: Path):
    inner, outer = market.asset("Sally", "child"), market.asset("Sally", "parent")
    split(market, inner, "Sally=50%", "Bert=50%")
    split(market, outer, f"asset:{inner}=40%", "Sally=60%")
    with market.as_("Sally") as ws:
        with pytest.raises(NotAllowed, match="cannot fall") as caught:
            ws.market.propose(outer, ["Sally=100%"], tmp_path / "p")
        assert "40%" in str(caught.value.hint)
        more = ws.market.propose(outer, [f"asset:{inner}=50%", "Sally=50%"], tmp_path / "q")
        assert more.transaction


def test_strangers_tokens_keep_nobodys_money_back(market: Market):
    """Anybody may make a split pay into another's, and sell for a token of his own."""
    asset = market.asset("Sally", "besieged")
    wallet = split(market, asset, "Sally=50%", "Carol=50%")
    trap = market.asset("Mallory", "siege")
    with market.as_("Mallory") as ws:
        ws.market.propose(trap, [f"{wallet}=100%"], market.folder / "siege.json")
    tokens = [market.token("MuteToken"), market.token("LyingToken")]
    for token in tokens:
        market.offer("Mallory", trap, token=token, price="1")
    market.send("Mallory", tokens[0], "setMute(bool)", 1)
    market.send("Mallory", tokens[1], "setLie(address,int256)", int(wallet, 16), 10**9)
    offer = market.offer("Sally", asset, price="2")
    before = market.dollars("Carol")
    with market.as_("Bert") as ws:
        ws.market.buy(offer.id)
        assert [money.amount for money in ws.market.split(asset).waiting] == [2_000_000, 10**9]
        done = ws.market.withdraw(asset)
        assert market.dollars("Carol") == before + 1_000_000
        assert all(money.token == tokens[1] for money in done.refused)
        if done.refused:
            with pytest.raises(TransactionReverted):
                ws.market.withdraw(asset)
