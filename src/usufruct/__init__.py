"""Usufruct: the right to use a thing and keep its fruits while it stays another's.

``usufruct.open()`` opens a party's home, ``usufruct.verify(path)`` needs none, and
``import usufruct.learn`` works on arrays alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from usufruct._version import __version__

if TYPE_CHECKING:
    from usufruct.workspace import Workspace, create, verify
    from usufruct.workspace import open_home as open

__all__ = ["Workspace", "__version__", "create", "open", "verify"]


def __getattr__(name: str) -> Any:
    # the rooms are heavy, and most programs need one of them
    if name in ("Workspace", "create", "open", "verify"):
        from usufruct import workspace

        return getattr(workspace, "open_home" if name == "open" else name)
    raise AttributeError(f"module 'usufruct' has no attribute '{name}'")


def __dir__() -> list[str]:
    return __all__
