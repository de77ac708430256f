from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contracts.evm import Contracts, Evm, running_evm


@pytest.fixture(scope="session")
def evm() -> Iterator[Evm]:
    with running_evm() as running:
        yield running


@pytest.fixture
def on(evm: Evm) -> Contracts:
    """Freshly deployed contracts."""
    return evm.deploy_all()
