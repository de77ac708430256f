"""Lineage: what was made from what, as a graph, drawn as a tree, in DOT or as plain data.

A graph is made of statements here, or of anything else (a ledger's index) by hand. Hostile graphs
may have cycles, repeated and dangling edges and deep chains; every renderer ends, in time linear
in nodes and edges, and never recurses.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from usufruct.errors import BadInput, NotFound
from usufruct.evidence.predicates import Draft, Party, Version
from usufruct.evidence.provenance import Run
from usufruct.evidence.reading import Predicate, needed_by
from usufruct.evidence.report import plain
from usufruct.evidence.work import Prediction, Round
from usufruct.types import Digest

UP, DOWN = "up", "down"
ROUND = "round"


@dataclass(frozen=True, slots=True)
class Node:
    """One thing in a lineage.

    Parameters
    ----------
    key
        Unlike every other node's; of a statement, its digest.
    kind
        Such as ``dataset``, ``model``, ``run``, ``round``, ``prediction``.
    title
        For people.
    by
        Who made it, if known.
    """

    key: str
    kind: str
    title: str
    by: str = ""

    @property
    def label(self) -> str:
        """One line for a person, safe for a terminal."""
        by = f" · {plain(self.by)}" if self.by else ""
        return f"{plain(self.kind)} {plain(self.title)}{by}"


@dataclass(slots=True)
class Graph:
    """Nodes and, for each, what it was made from."""

    nodes: dict[str, Node] = field(default_factory=dict)
    sources: dict[str, list[str]] = field(default_factory=dict)

    def add(self, node: Node, sources: Iterable[str] = ()) -> None:
        """Add a node made from the nodes of these keys, which may come later or never."""
        self.nodes[node.key] = node
        mine = self.sources.setdefault(node.key, [])
        mine.extend(dict.fromkeys(key for key in sources if key not in mine))

    def get(self, key: str) -> Node:
        """Return a node; one that was only named stands as ``unknown``."""
        return self.nodes.get(key) or Node(key, "unknown", key[:16])

    def edges(self) -> list[tuple[str, str]]:
        """Return (made, made from) pairs in order."""
        return [(key, source) for key in sorted(self.sources) for source in self.sources[key]]

    def neighbours(self, direction: str) -> dict[str, list[str]]:
        """Return for each key what it was made from (``up``) or what was made from it (``down``).

        Raises
        ------
        BadInput
            Another direction.
        """
        if direction == UP:
            return self.sources
        if direction != DOWN:
            raise BadInput("a lineage goes 'up' or 'down'")
        made: dict[str, list[str]] = {}
        for key, source in self.edges():
            made.setdefault(source, []).append(key)
        return made

    def part(self, start: str, direction: str = UP) -> Graph:
        """Return the part reached from one node (NotFound: there is no such node)."""
        if start not in self.nodes:
            raise NotFound(f"the lineage has no '{plain(start)}'")
        following = self.neighbours(direction)
        seen, todo = {start}, [start]
        while todo:
            for key in following.get(todo.pop(), ()):
                if key not in seen:
                    seen.add(key)
                    todo.append(key)
        part = Graph()
        for key in sorted(seen):
            part.add(self.get(key), [other for other in self.sources.get(key, ()) if other in seen])
        return part


def graph_of(
    statements: Iterable[tuple[Digest, Predicate]], names: Mapping[str, str] | None = None
) -> Graph:
    """Return the graph of statements; parties' key statements are left out.

    Parameters
    ----------
    statements
        Each with its digest.
    names
        What to call parties, by address.
    """
    graph = Graph()
    known = names or {}
    for digest, predicate in statements:
        match predicate:
            case Version() as made:
                title, by = (
                    f"'{made.title}' version {made.version}",
                    known.get(made.owner, made.owner),
                )
                node = Node(digest, str(made.kind), title, by)
            case Draft() as draft:
                by = known.get(draft.owner, draft.owner)
                node = Node(digest, "draft", f"'{draft.title}'", by)
            case Run() as run:
                by = known.get(run.builder, run.builder)
                node = Node(digest, "run", f"'{run.invocation}'", by)
            case Round() as this:
                node = Node(digest, ROUND, str(this.number))
            case Prediction() as prediction:
                node = Node(digest, "prediction", prediction.created)
            case Party():
                continue
        graph.add(node, needed_by(predicate))
    return graph


def fold_rounds(graph: Graph) -> Graph:
    """Return the graph with each chain of rounds as one node, for people.

    A chain ends where two rounds follow the same one: such a fork is kept as it is.
    """
    rounds = {key for key, node in graph.nodes.items() if node.kind == ROUND}
    after: dict[str, int] = {}
    for key in rounds:
        for source in graph.sources[key]:
            after[source] = after.get(source, 0) + 1
    folded = Graph()
    inside: set[str] = set()
    for key in sorted(rounds):
        if after.get(key, 0) == 1:
            continue
        chain, last = [key], key
        while True:
            before = [s for s in graph.sources[last] if s in rounds and after[s] == 1]
            if len(before) != 1 or before[0] in chain:
                break
            last = before[0]
            chain.append(last)
        inside |= set(chain)
        sources = [s for one in chain for s in graph.sources[one] if s not in chain]
        title = graph.nodes[key].title
        if len(chain) > 1:
            title = f"{graph.nodes[last].title} to {title}"
        shown = Node(key, "rounds" if len(chain) > 1 else ROUND, title)
        folded.add(shown, (s for s in sources if graph.get(s).kind != "draft"))
    for key, node in graph.nodes.items():
        if key not in inside:
            folded.add(node, graph.sources.get(key, ()))
    return folded


def tree(graph: Graph, start: str, direction: str = UP, *, max_lines: int = 100_000) -> str:
    """Return the lineage of one node as a Unicode tree, one node a line.

    A node drawn before is marked ``(above)`` and one that leads back to itself ``(cycle)``;
    neither is drawn again below.

    Parameters
    ----------
    direction
        ``up``: what it was made from; ``down``: what was made from it.
    max_lines
        Where to stop, with a last line that says so.

    Raises
    ------
    NotFound
        There is no such node.
    """
    if start not in graph.nodes:
        raise NotFound(f"the lineage has no '{plain(start)}'")
    following = graph.neighbours(direction)
    lines = [graph.get(start).label]
    drawn, path = {start}, {start}
    # key to draw, bars before it, last of its siblings; None ends the branch of the key
    todo: list[tuple[str, str, bool | None]] = []

    def push(key: str, bars: str) -> None:
        below = following.get(key, [])
        todo.append((key, bars, None))
        for place, other in enumerate(reversed(below)):
            todo.append((other, bars, place == 0))

    push(start, "")
    while todo:
        key, bars, last = todo.pop()
        if last is None:
            path.discard(key)
            continue
        if len(lines) >= max_lines:
            lines.append("…")
            break
        mark = " (cycle)" if key in path else " (above)" if key in drawn else ""
        lines.append(f"{bars}{'└── ' if last else '├── '}{graph.get(key).label}{mark}")
        if not mark:
            drawn.add(key)
            path.add(key)
            push(key, _deeper(bars, last))
    return "\n".join(lines) + "\n"


def dot(graph: Graph) -> str:
    """Return the graph in Graphviz's language; arrows go from the source to what was made."""
    numbers = {key: number for number, key in enumerate(_all_keys(graph))}
    lines = ["digraph lineage {", "  rankdir=LR;", "  node [shape=box];"]
    lines += [
        f'  n{number} [label="{_quote(graph.get(k).label)}"];' for k, number in numbers.items()
    ]
    lines += [f"  n{numbers[source]} -> n{numbers[made]};" for made, source in graph.edges()]
    return "\n".join([*lines, "}"]) + "\n"


def as_dict(graph: Graph) -> dict[str, Any]:
    """Return the graph as plain data, for ``--json``."""
    nodes = [graph.get(key) for key in _all_keys(graph)]
    return {
        "nodes": [
            {"key": node.key, "kind": node.kind, "title": node.title, "by": node.by}
            for node in nodes
        ],
        "edges": [{"made": made, "from": source} for made, source in graph.edges()],
    }


def _deeper(bars: str, last: bool) -> str:
    # a chain of thousands would fill memory with bars, so deep ones are folded
    deeper = bars + ("    " if last else "│   ")
    return deeper if len(deeper) <= 400 else "⋮   "


def _all_keys(graph: Graph) -> list[str]:
    return sorted(set(graph.nodes) | {source for _, source in graph.edges()})


def _quote(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"')
