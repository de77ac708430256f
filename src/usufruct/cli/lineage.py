"""``usufruct lineage``: what an asset was made from, and what was made from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from usufruct.cli.options import Asset, HomeDir, Json
from usufruct.cli.output import console, show


class Format(StrEnum):
    """How a lineage is drawn."""

    TREE = "tree"
    DOT = "dot"
    JSON = "json"


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def lineage(
        asset: Asset,
        up: Annotated[
            bool, typer.Option("--up/--down", help="To what it was made from, or the other way.")
        ] = True,
        format: Annotated[Format, typer.Option(help="How to draw it.")] = Format.TREE,
        home: HomeDir = None,
        as_json: Json = False,
    ) -> None:
        """Draw the lineage of an asset as this home knows it."""
        from usufruct.workspace import open_home

        with open_home(home, write=False) as ws:
            drawn = ws.lineage(asset, down=not up)
        if as_json or format is Format.JSON:
            show(drawn.as_dict(), True, lambda out: None)
            return
        console().print(
            drawn.dot() if format is Format.DOT else drawn.tree(), markup=False, soft_wrap=True
        )
