from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.evidence.factory import FakeLedger, Story, make_story


@pytest.fixture(scope="session")
def anchored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Story, FakeLedger]]:
    """A finished story with anchors; read only."""
    story = make_story(tmp_path_factory.mktemp("story"))
    yield story, story.anchor()
    story.close()


@pytest.fixture
def story(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    """A story of one's own, to go on with."""
    made = make_story(tmp_path_factory.mktemp("own"), rounds=2)
    yield made
    made.close()
