"""Fetching what was bought from a real node: who gets it, which version, and where to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.workspace.marketplace import DAY, Market, node

from usufruct.errors import AlreadyExists, NotAllowed, NotFound
from usufruct.types import Use
from usufruct.workspace import verify

pytestmark = pytest.mark.engine


@pytest.fixture(scope="module")
def url(market: Market) -> Iterator[str]:
    market.rich("Bert", "Carol")
    with node(market.home("Sally"), clock=market.clock) as made:
        yield made


def content(folder: Path) -> bytes:
    (found,) = [path for path in folder.iterdir() if path.suffix == ".csv"]
    return found.read_bytes()


def test_who_has_no_licence_gets_nothing(market: Market, url: str, tmp_path: Path):
    asset = market.asset("Sally", "kept close")
    offer = market.offer("Sally", asset, use=Use.DOWNLOAD, price="1", period="1d")
    other = market.offer("Sally", asset, use=Use.COMPUTE, price="1")
    target = tmp_path / "out"
    with market.as_("Carol") as ws:
        for what in ("kept close", "ab" * 32):
            with pytest.raises(NotFound):
                ws.market.download(what, output=target, node=url)
        ws.market.buy(other.id, node=url)
        with pytest.raises(NotFound, match="no licence to download") as caught:
            ws.market.download(asset[:12], output=target, node=url)
        assert asset[:12] in str(caught.value.hint)
    with market.as_("Bert") as ws:
        ws.market.buy(offer.id, for_=market.address("Carol"), node=url)
        with pytest.raises(NotFound, match="no licence"):
            ws.market.download(asset, output=target, node=url)
        with pytest.raises(NotFound) as caught:
            ws.market.download(asset, output=target, version=2, node=url)
        assert "market show" in str(caught.value.hint)
    with market.as_("Carol") as ws:
        got = ws.market.download(asset, output=target, node=url)
        assert (got.files, got.version) == (1, 1)
        market.clock.jump(DAY)
        with pytest.raises(NotAllowed, match="ended"):
            ws.market.download(asset, output=tmp_path / "late", node=url)
    assert not list(tmp_path.glob(".*")) and not (tmp_path / "late").exists()


def test_versions_and_places(market: Market, url: str, tmp_path: Path):
    asset = market.asset("Sally", "Two versions; now")
    offer = market.offer("Sally", asset, use=Use.DOWNLOAD, price="1")
    with market.as_("Bert") as ws:
        ws.market.buy(offer.id, node=url)
        first = ws.market.download(asset, output=tmp_path / "one", node=url)
        before = content(tmp_path / "one")
        verify(str(tmp_path / "one"), full=True, home=tmp_path / "no-home")
        for taken in (tmp_path / "one", tmp_path):
            with pytest.raises(AlreadyExists):
                ws.market.download(asset, output=taken, node=url)
    with market.as_("Sally") as ws:
        path = market.folder / "Two-versions;-now.csv"
        path.write_text("a,b\n5,6\n")
        ws.publish(path, update=asset)
    with market.as_("Bert") as ws:
        ws.market.download(asset, output=tmp_path / "again", version=1, node=url)
        assert content(tmp_path / "again") == before
        # what is on offer is sealed as it is published
        second = ws.market.download(asset, output=tmp_path / "two", node=url)
        assert (first.version, second.version) == (1, 2)
        assert content(tmp_path / "two") == b"a,b\n5,6\n"


def test_its_name_is_that_of_the_asset(
    market: Market, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Titles are others' words, and never lead out of the folder."""
    monkeypatch.chdir(tmp_path)
    asset = market.asset("Sally", "..")
    offer = market.offer("Sally", asset, use=Use.DOWNLOAD, price="1")
    with market.as_("Bert") as ws:
        ws.market.buy(offer.id, node=url)
        got = ws.market.download(asset, node=url)
        assert Path(got.path) == tmp_path / asset[:16]


def test_a_refundable_purchase_is_settled_by_the_download(market: Market, url: str, tmp_path: Path):
    asset = market.asset("Sally", "try me")
    offer = market.offer("Sally", asset, use=Use.DOWNLOAD, price="2", refund="1h", uses=2)
    with market.as_("Bert") as ws:
        ws.market.buy(offer.id, node=url)
        ws.market.download(asset, output=tmp_path / "out", node=url)
        (held,) = [one for one in ws.market.licences() if one.asset == asset]
        # the node has settled it before it gave the keys
        assert held.state in ("settled", "window")
        ws.market.download(asset, output=tmp_path / "again", node=url)
        with pytest.raises(NotAllowed):
            ws.market.download(asset, output=tmp_path / "third", node=url)


def test_an_owner_without_a_node(market: Market, tmp_path: Path):
    asset = market.asset("Nora", "nowhere")
    offer = market.offer("Nora", asset, use=Use.DOWNLOAD, price="0")
    with market.as_("Bert") as ws:
        assert ws.market.buy(offer.id).price_text == "free"
        with pytest.raises(NotFound, match="node") as caught:
            ws.market.download(asset, output=tmp_path / "out")
        assert caught.value.hint
