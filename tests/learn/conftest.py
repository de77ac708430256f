from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from usufruct.learn import Federation, LocalParty, Plan, RoundJournal
from usufruct.learn.journal import Checkpoint

SMALL = Plan(rounds=4, local_steps=3, learning_rate=0.2, l2=0.01, batch_size=7, seed=5)


def make_party(name: str, rows: int = 24, columns: int = 3, seed: int = 0, **more) -> LocalParty:
    random = np.random.default_rng([seed, *name.encode()])
    x = random.normal(loc=50.0, scale=9.0, size=(rows, columns))
    y = (x[:, 0] + random.normal(scale=3.0, size=rows) > 50).astype(float)
    test = (x[:4], y[:4]) if rows >= 8 else None
    return LocalParty(name, x, y, test=test, **more)


@dataclass
class Done:
    parties: list[LocalParty]
    checkpoints: list[Checkpoint]
    result: object
    journal: RoundJournal


@pytest.fixture
def parties() -> list[LocalParty]:
    return [make_party("b", 24), make_party("a", 31), make_party("ç", 12)]


@pytest.fixture
def done(parties, tmp_path: Path) -> Done:
    seen: list[Checkpoint] = []
    journal = RoundJournal(tmp_path / "run")
    result = Federation(parties, SMALL, journal=journal, on_round=seen.append).run()
    return Done(parties, seen, result, journal)
