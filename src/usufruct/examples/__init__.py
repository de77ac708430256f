"""Real example data that comes with the package, each set with its own licence note."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from usufruct.errors import NotFound

__all__ = ["heart_disease"]

_HEART = ("cleveland", "hungarian", "switzerland", "va")


def heart_disease() -> dict[str, Path]:
    """Return the four hospitals' files of the UCI heart disease set (CC BY 4.0).

    Returns
    -------
    dict
        ``cleveland``, ``hungarian``, ``switzerland``, ``va`` to the file of each: CSV without
        header, 14 columns, ``?`` for missing; 303, 294, 123 and 200 rows. The licence note
        ``README.md`` stands beside them. Copy a file before publishing it: evidence is written
        beside the data.

    Raises
    ------
    NotFound
        The package was installed without its data or is not unpacked on disk.

    References
    ----------
    UCI Machine Learning Repository, data set 45, DOI 10.24432/C52P4X.
    """
    folder = files(__name__) / "heart_disease"
    found: dict[str, Path] = {}
    for name in _HEART:
        path = folder / f"processed.{name}.data"
        if not isinstance(path, Path) or not path.is_file():
            raise NotFound(
                f"the example file processed.{name}.data is not on disk",
                hint="install usufruct again, unpacked",
            )
        found[name] = path
    return found
