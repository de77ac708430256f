"""What works on this machine, and how to get what is missing."""

from __future__ import annotations

import importlib.util
import platform
import sys
from dataclasses import asdict, dataclass
from typing import Any

from usufruct.errors import MissingExtra, Unavailable, UsufructError
from usufruct.ports import SILENT, Progress

EXTRAS = {
    "ledger": (
        "ledger, anchors, wallet",
        ("coincurve", "eth_abi", "eth_account", "httpx", "uvicorn"),
    ),
    "learn": ("learning together, predicting", ("numpy", "safetensors")),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the product and whether it works here."""

    name: str
    works: bool
    detail: str
    hint: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What works on this machine."""

    parts: tuple[Part, ...]

    @property
    def engine_works(self) -> bool:
        """True if an embedded ledger can be run."""
        return all(part.works for part in self.parts if part.name == "engine")

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {"parts": [asdict(part) for part in self.parts]}


def prepare(*, fetch_engine: bool = True, progress: Progress = SILENT) -> Report:
    """Fetch the engine unless it is here, and look at every part."""
    parts = [
        Part(
            "evidence",
            True,
            f"publish, prove, verify (Python {platform.python_version()}, {sys.platform})",
        )
    ]
    for extra, (what, modules) in EXTRAS.items():
        missing = [m for m in modules if not _installed(m)]
        hint = MissingExtra(extra, what).hint if missing else None
        detail = f"{what}: {', '.join(missing)} not installed" if missing else what
        parts.append(Part(extra, not missing, detail, hint))
    parts.append(_engine(fetch_engine, progress))
    return Report(tuple(parts))


def require(report: Report, *names: str) -> None:
    """Raise for the first of the named parts that does not work here.

    Raises
    ------
    Unavailable
        With the way to get it.
    """
    for part in report.parts:
        if part.name in names and not part.works:
            raise Unavailable(f"{part.name}: {part.detail}", hint=part.hint)


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _engine(fetch: bool, progress: Progress) -> Part:
    from usufruct.ledger import binary

    try:
        try:
            path = binary.find_engine()
        except UsufructError:
            if not fetch:
                raise
            path = binary.install_engine(progress)
    except UsufructError as error:
        return Part("engine", False, error.message, error.hint)
    return Part("engine", True, f"anvil {binary.VERSION} at {path}")
