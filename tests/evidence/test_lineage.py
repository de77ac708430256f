"""Lineage: graphs of real statements, of many nodes, and of hostile shape."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.evidence.factory import Story

from usufruct.crypto import dsse
from usufruct.errors import BadInput, NotFound
from usufruct.evidence import lineage
from usufruct.evidence.lineage import DOWN, UP, Graph, Node, as_dict, dot, graph_of, tree
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import read_statement


def graph(edges: dict[str, list[str]]) -> Graph:
    made = Graph()
    for key, sources in edges.items():
        made.add(Node(key, "model", key), sources)
    return made


def test_tree_of_the_story(anchored: tuple[Story, Any]) -> None:
    story, said = anchored[0], []
    for home in (story.hospital, story.builder):
        for entry in home.log.entries():
            statement = read_statement(dsse.Envelope.from_bytes(entry.envelope or b""))
            said.append((statement.digest, read_predicate(statement)))
    names = {story.hospital.address: "Hospital", story.builder.address: "Builder"}
    whole = graph_of(said, names)
    text = tree(whole, story.digests["model"])
    assert text.splitlines()[:5] == [
        "model 'Risk' version 1 · Builder",
        "├── run 'run-1' · Builder",
        "│   ├── draft 'Risk' · Builder",
        "│   │   ├── dataset 'Cleveland' version 1 · Hospital",
        "│   │   └── dataset 'Own' version 1 · Builder",
    ]
    assert "(above)" in text
    assert "Unrelated" not in text
    down = tree(whole, story.digests["ours"], DOWN)
    assert "prediction" in down
    assert "dataset 'Own'" not in down
    assert len(whole.part(story.digests["model"]).nodes) == 8
    assert "Unrelated" in dot(whole)
    assert len(as_dict(whole)["nodes"]) == 10


def test_cycles_end() -> None:
    for edges in ({"a": ["a"]}, {"a": ["b"], "b": ["c"], "c": ["a", "b"]}):
        made = graph(edges)
        assert "(cycle)" in tree(made, "a")
        assert "(cycle)" in tree(made, "a", DOWN)
        assert made.part("a").nodes.keys() == edges.keys()


def test_ten_thousand_nodes() -> None:
    chain = graph({str(n): [str(n + 1)] for n in range(10_000)})
    wide = graph({"0": [str(n) for n in range(1, 10_000)]})
    ladder = graph({str(n): [str(n + 1), str(n + 2)] for n in range(10_000)})
    began = time.process_time()
    for made in (chain, wide, ladder):
        assert tree(made, "0").count("\n") >= 10_000
        assert dot(made).count("->") == len(made.edges())
        json.dumps(as_dict(made))
        assert made.part("0").nodes
    assert time.process_time() - began < 5
    assert tree(wide, "0", max_lines=10).count("\n") == 11
    assert tree(wide, "0", max_lines=10).endswith("…\n")


def test_missing_nodes_and_wrong_words() -> None:
    made = graph({"a": ["gone"]})
    assert "unknown gone" in tree(made, "a")
    for call in (tree, Graph.part):
        with pytest.raises(NotFound):
            call(made, "nowhere")
    with pytest.raises(BadInput):
        tree(made, "a", "sideways")


def test_hostile_labels() -> None:
    made = Graph()
    made.add(Node("k", "model", 'a"]; x \\" \n\x1b[2J', "b\u202e"))
    assert tree(made, "k").count("\n") == 1
    assert "\x1b" not in dot(made) + tree(made, "k")
    assert r"a\"]; x \\\"" in dot(made)


@given(st.dictionaries(st.sampled_from("abcdefg"), st.lists(st.sampled_from("abcdefg"))))
def test_every_graph_is_drawn(edges: dict[str, list[str]]) -> None:
    made = graph(edges | {"a": edges.get("a", [])})
    for direction in (UP, DOWN):
        lines = tree(made, "a", direction).splitlines()
        whole = [line for line in lines if "(above)" not in line and "(cycle)" not in line]
        # each reachable node is drawn in full exactly once
        assert len(whole) == len(made.part("a", direction).nodes)
        assert len(lines) <= 1 + len(made.edges())
    dot(made)


def _chain(count: int) -> lineage.Graph:
    graph = lineage.Graph()
    graph.add(lineage.Node("d", "draft", "'m'"))
    graph.add(lineage.Node("a", "dataset", "'a' version 1"))
    for number in range(1, count + 1):
        before = [f"r{number - 1}"] if number > 1 else []
        graph.add(lineage.Node(f"r{number}", "round", str(number)), ["d", *before, "a"])
    graph.add(lineage.Node("m", "model", "'m' version 1"), ["d", f"r{count}"])
    return graph


def test_a_chain_of_rounds_is_one_line_for_people() -> None:
    folded = lineage.fold_rounds(_chain(16))
    assert lineage.tree(folded, "m").splitlines() == [
        "model 'm' version 1",
        "├── draft 'm'",
        "└── rounds 1 to 16",
        "    └── dataset 'a' version 1",
    ]


def test_a_fork_or_a_cycle_of_rounds_is_not_hidden() -> None:
    graph = _chain(3)
    graph.add(lineage.Node("x3", "round", "3"), ["d", "r2", "a"])
    assert {"r3", "x3", "r2"} <= set(lineage.fold_rounds(graph).nodes)
    cycle = _chain(3)
    cycle.sources["r1"].append("r3")
    assert set(cycle.nodes) >= set(lineage.fold_rounds(cycle).nodes)
    assert lineage.tree(lineage.fold_rounds(cycle), "m")
