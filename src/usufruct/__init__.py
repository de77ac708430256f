"""Usufruct: the right to use a thing and keep its fruits while it stays another's."""

from usufruct._version import __version__

__all__ = ["__version__"]
