"""``usufruct download``: fetch what was bought, verified chunk by chunk."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import progress, safe, show
from usufruct.units import format_bytes


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def download(
        asset: Annotated[
            str, typer.Argument(help="The asset: its id, the start of it, its title.")
        ],
        output: Annotated[
            Path | None, typer.Option("-o", "--output", metavar="DIR", help="A new folder.")
        ] = None,
        node: Annotated[
            str | None, typer.Option(metavar="URL", help="From this node (else its owner's).")
        ] = None,
        version: Annotated[int | None, typer.Option(min=1, help="Else the newest.")] = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Download a licensed asset; called again, it goes on where it stopped."""
        from usufruct.workspace import open_home

        shown = progress(as_json)
        with open_home(home, passphrase=Passphrase(passphrase_file), progress=shown) as ws:
            got = ws.market.download(asset, output=output, node=node, version=version)

        def human(out: Any) -> None:
            out.print(f"[bold]downloaded[/] '{safe(got.title)}' version {got.version}")
            out.print(f"  {got.files} file(s), {format_bytes(got.size)}, in {safe(got.path, 500)}")
            out.print(f"  content root {got.content_root}: every chunk is what the ledger says")
            out.print(f"[bold]next:[/] usufruct verify {safe(shlex.quote(got.path), 500)}")

        show(got.as_dict(), as_json, human)
