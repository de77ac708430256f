"""The catalogue: no text is syntax, pages are whole, captions are their owner's, damage heals."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.node.stub import ASSET, ELSE, OPERATOR, OTHER, Node, offer

from usufruct.errors import BadInput, Damaged
from usufruct.node.captions import Caption, Captions
from usufruct.node.catalogue import Catalogue, Entry
from usufruct.types import Address, AssetId, AssetKind, AssetState, Digest, Use

SYNTAX = [
    '"',
    "a OR b",
    "NEAR(a b)",
    "title:a",
    "a*",
    "-a",
    "(",
    "'; DROP TABLE words",
    "^a",
    "a\0b",
]


def entry(number: int, title: str = "", **changes: Any) -> Entry:
    fields: dict[str, Any] = {
        "seq": number,
        "asset": AssetId(f"{number:064x}"),
        "kind": AssetKind.DATASET,
        "state": AssetState.ACTIVE,
        "owner": OPERATOR.address,
        "uses": (),
        "title": title,
        "description": "",
        "owner_name": "",
        "served": False,
    }
    return Entry(**(fields | changes))


def titles(found: Any) -> list[str]:
    return [one.title for one in found.entries]


@pytest.fixture
def catalogue(tmp_path: Path) -> Any:
    made = Catalogue(tmp_path / "catalogue.sqlite")
    yield made
    made.close()


def test_words_find_what_begins_so(catalogue: Catalogue) -> None:
    catalogue.fill(
        [
            entry(1, "Heart disease, Cleveland"),
            entry(2, "Lungs", description="x-rays of the heart, Zürich"),
            entry(3, "Liver", owner_name="Heartland clinic"),
            entry(4, "Weather"),
        ]
    )
    assert len(catalogue.search("HEART").entries) == 3
    assert titles(catalogue.search("zurich rays")) == ["Lungs"]
    assert titles(catalogue.search("clev heart")) == ["Heart disease, Cleveland"]
    assert titles(catalogue.search(f"{4:064x}")) == ["Weather"]
    assert titles(catalogue.search("!!!")) == []
    assert titles(catalogue.search("  ")) == [
        "Weather",
        "Liver",
        "Lungs",
        "Heart disease, Cleveland",
    ]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.one_of(st.text(max_size=60), st.sampled_from(SYNTAX)))
def test_no_text_is_syntax(catalogue: Catalogue, text: str) -> None:
    catalogue.fill([entry(1, "a b title NEAR OR"), entry(2, "other")])
    found = catalogue.search(text)
    assert len(found.entries) <= 2
    catalogue.search(text, kind=AssetKind.MODEL, use=Use.CALL, owner=Address("0x" + "0" * 40))


def test_what_fits_best_comes_first(catalogue: Catalogue) -> None:
    others = [entry(n, f"thing {n}") for n in range(10, 30)]
    weak = entry(9, "rocks", description="collected by a man with a weak heart, near a lake")
    catalogue.fill([entry(1, "heart"), weak, *others])
    assert titles(catalogue.search("heart")) == ["heart", "rocks"]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.integers(0, 30), st.integers(1, 10), st.sampled_from(["", "same", "s"]))
def test_pages_are_the_whole(catalogue: Catalogue, count: int, limit: int, text: str) -> None:
    catalogue.fill([entry(n, f"same {'word ' * (n % 4)}") for n in range(1, count + 1)])
    seen: list[int] = []
    after = None
    while True:
        page = catalogue.search(text, limit=limit, after=after)
        assert len(page.entries) <= limit
        seen += [one.seq for one in page.entries]
        after = page.after
        if after is None:
            break
    assert sorted(seen) == list(range(1, count + 1))
    if not text:
        assert seen == sorted(seen, reverse=True)


def test_filters(catalogue: Catalogue) -> None:
    catalogue.fill(
        [
            entry(1, "one", uses=(Use.DOWNLOAD, Use.CALL)),
            entry(2, "two", kind=AssetKind.MODEL, owner=OTHER.address),
            entry(3, "three", uses=(Use.LEARN,)),
        ]
    )
    assert titles(catalogue.search(use=Use.CALL)) == ["one"]
    assert titles(catalogue.search(kind=AssetKind.MODEL)) == ["two"]
    assert titles(catalogue.search(owner=OTHER.address)) == ["two"]
    assert titles(catalogue.search("three", use=Use.DOWNLOAD)) == []


def test_foreign_cursors(catalogue: Catalogue) -> None:
    catalogue.fill([entry(n, "x") for n in range(1, 6)])
    after = catalogue.search("x", limit=2).after
    assert after is not None
    for bad in ("", "x", after + "0" * 20, "0" * 16 + after[16:], "-1", after.upper() + "G"):
        with pytest.raises(BadInput):
            catalogue.search("x", limit=2, after=bad)
    with pytest.raises(BadInput):
        catalogue.search("y", after=after)
    with pytest.raises(BadInput):
        catalogue.search("x", limit=0)
    with pytest.raises(BadInput):
        catalogue.search("x" * 500)


def test_only_what_changed_is_written(catalogue: Catalogue) -> None:
    assert catalogue.fill([entry(1, "a"), entry(2, "b")]) == 2
    assert catalogue.fill([entry(1, "a"), entry(2, "b")]) == 0
    assert catalogue.fill([entry(1, "a"), entry(2, "c")]) == 1
    assert titles(catalogue.search("b")) == []
    assert catalogue.fill([entry(2, "c")]) == 1
    assert len(catalogue) == 1


@pytest.mark.parametrize("damage", ["garbage", "other", "newer", "cut"])
def test_a_damaged_file_is_made_anew(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "catalogue.sqlite"
    first = Catalogue(path)
    first.fill([entry(n, "x") for n in range(1, 200)])
    first.close()
    if damage == "garbage":
        path.write_bytes(b"not a database at all" * 1000)
    elif damage == "cut":
        path.write_bytes(path.read_bytes()[:5000])
    else:
        word = "application" if damage == "other" else "schema"
        value = "journal" if damage == "other" else "99"
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE meta SET value = ? WHERE key = ?", (value, word))
        connection.close()
    second = Catalogue(path)
    second.fill([entry(1, "good")])
    assert titles(second.search("good")) == ["good"]
    second.close()


def test_damage_while_it_runs(catalogue: Catalogue, tmp_path: Path) -> None:
    catalogue.fill([entry(1, "good")])
    catalogue._connection.execute("DROP TABLE words")
    with pytest.raises(Damaged):
        catalogue.search("good")
    catalogue.fill([entry(1, "good")])
    assert titles(catalogue.search("good")) == ["good"]


def test_nobody_captions_anothers_asset(tmp_path: Path) -> None:
    captions = Captions(tmp_path, OPERATOR)
    mine, other = Digest("11" * 32), Digest("22" * 32)
    captions._known = {mine: Caption(ASSET, "mine", ""), other: Caption(ASSET, "older", "")}

    def called(asset: AssetId, *digests: Digest, first: str = "00" * 32) -> Any:
        versions = [SimpleNamespace(metadata=bytes.fromhex(one)) for one in digests]
        index: Any = SimpleNamespace(versions=lambda _: versions)
        record: Any = SimpleNamespace(asset=asset, metadata=bytes.fromhex(first))
        found = captions.of(index, record)
        return found and found.title

    assert called(ASSET, other, mine) == "mine"
    assert called(ASSET, mine, Digest("33" * 32)) == "mine"
    assert called(ASSET, first=mine) == "mine"
    # another asset whose owner wrote the same digest to the ledger
    assert called(ELSE, mine) is None


def test_over_http(running: Node) -> None:
    page = running.ask("GET", "/assets?q=heart").json
    (card,) = page["assets"]
    assert page["next"] is None
    assert (card["id"], card["title"], card["served"]) == (ASSET, "Heart disease, Cleveland", True)
    assert card["parents"] == [ELSE]
    (shown,) = card["offers"]
    assert (shown["id"], shown["price"], shown["open"]) == (offer().offer_id, "5", True)
    assert running.ask("GET", f"/assets/{ASSET}").json == card
    first = running.ask("GET", "/assets?limit=1").json
    second = running.ask("GET", f"/assets?limit=1&after={first['next']}").json
    assert [one["id"] for one in (*first["assets"], *second["assets"])] == [ELSE, ASSET]
    assert second["next"] is None
    assert running.ask("GET", "/assets?use=download").json["assets"] == [card]
    assert running.ask("GET", f"/assets?owner={OTHER.address}").json["assets"][0]["id"] == ELSE
    for bad in ("kind=x", "use=x", "owner=0x1", "limit=0", "limit=101", "limit=x", "after=x"):
        answer = running.ask("GET", f"/assets?{bad}")
        assert (answer.status, answer.json["error"]) == (400, "BadInput"), bad
    digest = offer().terms.hex()
    assert running.ask("GET", f"/assets/{ASSET}/terms/{digest}").body == b"You may read it.\n"
    # the folder of terms also holds what was bought; only what is offered is shown
    assert running.ask("GET", f"/assets/{ELSE}/terms/{digest}").status == 404
    assert running.ask("GET", f"/assets/{ASSET}/versions/1/evidence").body == b"bundle"
    assert running.ask("GET", f"/assets/{ASSET}/versions/9/evidence").status == 404
