"""``usufruct prove``: one file that proves a claim to somebody else, offline."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import Asset, HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import progress, safe, show
from usufruct.units import format_bytes


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def prove(
        asset: Asset,
        output: Annotated[Path, typer.Option("-o", "--output", help="Where the bundle goes.")],
        file: Annotated[
            str | None, typer.Option(help="Prove that this file is part of the asset.")
        ] = None,
        row: Annotated[
            int | None, typer.Option(min=1, help="Prove this row of the file (from 1).")
        ] = None,
        version: Annotated[
            int | None, typer.Option(min=1, help="Which version (else the newest).")
        ] = None,
        force: Annotated[bool, typer.Option("--force", help="Overwrite OUTPUT.")] = False,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Write a bundle that proves an asset, a file or one row of it, without the data."""
        from usufruct.workspace import open_home

        with open_home(
            home, passphrase=Passphrase(passphrase_file), progress=progress(as_json)
        ) as ws:
            made = ws.prove(asset, output, file=file, row=row, version=version, force=force)

        def human(out: Any) -> None:
            out.print(f"{safe(output, 500)}: {safe(made.claim)} ({format_bytes(made.size)})")
            out.print(f"[bold]next:[/] usufruct verify {safe(shlex.quote(str(output)), 500)}")

        show(made.as_dict(), as_json, human)
