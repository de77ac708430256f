"""``usufruct publish``: make files an asset with evidence."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import progress, safe, show
from usufruct.types import AssetKind
from usufruct.units import format_bytes


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def publish(
        path: Annotated[Path, typer.Argument(help="The file or folder.")],
        title: Annotated[str | None, typer.Option(help="What it is, in a line.")] = None,
        kind: Annotated[AssetKind, typer.Option(help="What the asset is.")] = AssetKind.DATASET,
        update: Annotated[
            str | None, typer.Option(metavar="ASSET", help="A new version of this asset.")
        ] = None,
        rows: Annotated[
            bool, typer.Option("--rows/--no-rows", help="Evidence for each row of tables.")
        ] = True,
        sealed: Annotated[
            bool, typer.Option("--sealed", help="Keep an encrypted copy in the home's vault.")
        ] = False,
        parent: Annotated[
            list[str] | None,
            typer.Option(metavar="ASSET", help="An asset this one was made from (repeat)."),
        ] = None,
        sha256: Annotated[
            bool, typer.Option("--sha256", help="SHA-256 chunks in place of BLAKE3.")
        ] = False,
        follow_links: Annotated[
            bool, typer.Option("--follow-links", help="Take what links point to.")
        ] = False,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Hash PATH, sign what it is, log it, register it on the ledger if there is one."""
        from usufruct.workspace import open_home

        with open_home(
            home, passphrase=Passphrase(passphrase_file), progress=progress(as_json)
        ) as ws:
            made = ws.publish(
                path,
                title=title,
                kind=kind,
                update=update,
                rows=rows,
                sealed=sealed,
                parents=parent or [],
                algorithm="sha256" if sha256 else "blake3",
                follow_links=follow_links,
            )

        def human(out: Any) -> None:
            rows_text = f", {made.rows} rows" if made.rows else ""
            out.print(
                f"[bold]{safe(made.title)}[/] version {made.version}: {made.files} files, "
                f"{format_bytes(made.size)}{rows_text}"
            )
            out.print(f"  asset         {made.asset}")
            out.print(f"  content root  {made.content_root}")
            out.print(f"  statement     {made.statement} (entry {made.index} of the log)")
            if made.evidence:
                out.print(f"  evidence      {safe(made.evidence, 1000)}")
            if made.transaction:
                out.print(f"  transaction   {made.transaction}")
            out.print(f"[bold]next:[/] usufruct verify {safe(shlex.quote(str(path)), 500)}")

        show(made.as_dict(), as_json, human)
