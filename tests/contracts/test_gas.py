"""Gas is exact, so the bars hold or they do not; the figures themselves are bench/gas.py's."""

from __future__ import annotations

import pytest
from bench.gas import measure
from tests.contracts.evm import Contracts, Evm

pytestmark = pytest.mark.engine


def test_bars_hold(evm: Evm, on: Contracts) -> None:
    rows = measure(evm, on)
    bars = {row.what: (row.gas, row.bar) for row in rows if row.bar is not None}
    assert len(bars) == 3
    assert {what: gas for what, (gas, bar) in bars.items() if gas > bar} == {}
