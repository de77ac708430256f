"""What is made from others' assets: royalties are put into splits, or it is said why not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.workspace.marketplace import Market
from tests.workspace.test_market_offering import kill

from usufruct.errors import BadInput
from usufruct.types import Use

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module", autouse=True)
def _rich(market: Market) -> None:
    market.rich("Bert", "Carol")


def parent(market: Market, title: str, *royalties: str, owner: str = "Sally") -> str:
    """Publish an asset with offers of these royalties, and give its evidence to Bert."""
    asset = market.asset(owner, title)
    for number, royalty in enumerate(royalties, 1):
        market.offer(owner, asset, use=Use.LEARN, price=str(number), royalty=royalty)
    with market.as_(owner) as ws:
        ws.prove(title, market.folder / f"{asset}.json")
    with market.as_("Bert") as ws:
        ws.receive(market.folder / f"{asset}.json")
    return asset


def shares(market: Market, asset: str) -> dict[str, str]:
    with market.as_("Bert") as ws:
        return {payee.name: payee.share for payee in ws.market.split(asset).payees}


def test_royalties_are_put_in_by_themselves(market: Market, tmp_path: Path):
    one = parent(market, "mother", "10%", "20%")
    two = parent(market, "father", "5%", owner="Carol")
    free = parent(market, "free of charge")
    with market.as_("Bert") as ws:
        made = ws.draft("offspring", parents=[one, two, free])
        assert ws.draft("nothing due", parents=[free]).id
    # the highest royalty that was ever asked counts for who shows no licence
    assert shares(market, made.id) == {"Bert": "75%", "Sally": "20%", "Carol": "5%"}
    with market.as_("Bert") as ws:
        cheap = next(o for o in ws.market.show(one).offers if "10 %" in o.words)
        ws.market.buy(cheap.id)
        licensed = ws.draft("licensed offspring", parents=[one, two])
        me, carol = ws.public.address, market.address("Carol")
        own = ws.draft("of mine", parents=[one], split=[(me, "50%"), (carol, "50%")])
    assert shares(market, licensed.id) == {"Bert": "85%", "Sally": "10%", "Carol": "5%"}
    assert shares(market, own.id) == {"Bert": "40%", "Sally": "10%", "Carol": "50%"}
    # it is sold by what it owes
    (tmp_path / "x.csv").write_text("a\n1\n")
    before = market.dollars("Sally"), market.dollars("Carol")
    with market.as_("Bert") as ws:
        ws.publish(tmp_path / "x.csv", update="offspring")
        offer = ws.market.offer("offspring", use=Use.COMPUTE, price="10")
    with market.as_("Carol") as ws:
        ws.market.buy(offer.id)
    with market.as_("Bert") as ws:
        ws.market.withdraw(made.id)
    after = market.dollars("Sally"), market.dollars("Carol")
    assert (after[0] - before[0], after[1] - before[1]) == (2_000_000, -10_000_000 + 500_000)


def test_what_does_not_suffice_is_refused_before_anything_is_written(market: Market):
    one = parent(market, "dear mother", "60%")
    two = parent(market, "dear father", "50%", owner="Carol")
    with market.as_("Bert") as ws:
        size = ws.log.size
        with pytest.raises(BadInput, match="due 110%") as caught:
            ws.draft("overdrawn", parents=[one, two])
        assert caught.value.hint
        me, carol = ws.public.address, market.address("Carol")
        with pytest.raises(BadInput, match="do not suffice"):
            ws.draft("overdrawn", parents=[one], split=[(me, "50%"), (carol, "50%")])
        assert ws.log.size == size
        assert "overdrawn" not in {one.title for one in ws.assets()}
        # the parent's owner owes himself nothing
    with market.as_("Sally") as ws:
        assert ws.draft("in the family", parents=[one]).id
        assert ws.market.split("in the family").digest is None


def test_a_version_without_a_draft_pays_its_parents_too(market: Market, tmp_path: Path):
    one = parent(market, "grandmother", "12.5%")
    (tmp_path / "y.csv").write_text("a\n2\n")
    with market.as_("Bert") as ws:
        made = ws.publish(tmp_path / "y.csv", title="derived at once", parents=[one])
        (tmp_path / "y.csv").write_text("a\n3\n")
        ws.publish(tmp_path / "y.csv", update=made.asset, parents=[one])
    assert shares(market, made.asset) == {"Bert": "87.5%", "Sally": "12.5%"}
    # a royalty that is asked later changes nothing, and cannot be escaped by a successor
    market.offer("Sally", one, use=Use.LEARN, price="1", royalty="30%")
    assert shares(market, made.asset) == {"Bert": "87.5%", "Sally": "12.5%"}
    with market.as_("Bert") as ws:
        moved = ws.market.propose(made.asset, ["Bert=100%"], tmp_path / "p")
        assert [payee.name for payee in moved.missing] == ["Sally"]


def test_killed_before_a_derived_draft_is_registered(market: Market):
    one = parent(market, "great-grandmother", "10%")
    kill(market.home("Bert"), "before", f"ws.draft('late', parents=[{one!r}])")
    with market.as_("Bert") as ws:
        ws.join()
    assert shares(market, "late") == {"Bert": "90%", "Sally": "10%"}
