"""Assets, Splits, Licences and tokens against a model in Python, step by step."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from tests.contracts.market_engine import running_chain
from tests.contracts.market_steps import Steps
from tests.contracts.market_world import Dice

pytestmark = pytest.mark.engine

STEPS = 100_000


class Drawn:
    """A choice that Hypothesis makes, and shrinks."""

    def __init__(self, data: st.DataObject) -> None:
        self._data = data

    def number(self, low: int, high: int) -> int:
        return low if low == high else self._data.draw(st.integers(low, high))


class Market(RuleBasedStateMachine):
    """Starts where `world` was saved."""

    world: Steps
    steps = 0

    @initialize()
    def begin(self) -> None:
        self.world.restore()

    @rule(data=st.data())
    def step(self, data: st.DataObject) -> None:
        done = self.world.done.total()
        self.world.any_step(Drawn(data))
        type(self).steps += 1
        if self.world.done.total() > done:
            self.world.check_money()
            self.world.check_royalties()

    def teardown(self) -> None:
        self.world.check_all()
        self.world.empty_all()


@pytest.fixture(scope="module")
def world() -> Iterator[Steps]:
    with running_chain() as chain:
        made = Steps(chain)
        dice = Dice(2024)
        for _ in range(150):  # so that each run begins with assets, licences and nested splits
            made.any_step(dice)
        made.check_all()
        assert max(made.model.depth(split) for split in made.model.shapes) >= 3
        made.save()
        yield made


def run(world: Steps, examples: int, steps: int, number: int | None = None) -> int:
    """Play that many games of that many steps and return how many steps it were."""

    class Machine(Market):
        pass

    Machine.world = world
    test = settings(
        max_examples=examples,
        stateful_step_count=steps,
        deadline=None,
        derandomize=number is None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Machine if number is None else seed(number)(Machine), settings=test)
    return Machine.steps


def test_the_market_does_what_the_model_does(world: Steps) -> None:
    run(world, 25, 40)


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_the_market_does_what_the_model_does_for_long(world: Steps) -> None:
    steps = number = 0
    while steps < STEPS:
        number += 1
        steps += run(world, 60, 60, number)
