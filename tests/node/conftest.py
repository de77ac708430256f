from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.node.stub import Node, node


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Node]:
    with node(tmp_path / "node") as made:
        yield made
