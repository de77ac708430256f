"""Homes and commands, as in tests/workspace/homes.py."""

from tests.workspace.homes import (  # noqa: F401
    home,
    joined_template,
    plain_home,
    served,
    table,
    usufruct,
)
from tests.workspace.marketplace import market  # noqa: F401
