"""``usufruct asset``: what this home knows of assets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import Asset, HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import safe, show
from usufruct.clock import iso


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command("list")
    def list_(home: HomeDir = None, as_json: Json = False) -> None:
        """List the assets: own ones, and others' whose evidence was added."""
        from usufruct.workspace import open_home

        with open_home(home, write=False) as ws:
            assets = ws.assets()

        def human(out: Any) -> None:
            from rich.table import Table

            table = Table("asset", "title", "kind", "version", "state", "owner", box=None)
            for asset in assets:
                table.add_row(
                    asset.id[:12],
                    safe(asset.title, 48),
                    str(asset.kind),
                    str(asset.version),
                    str(asset.state),
                    safe(asset.owner_name or asset.owner, 24),
                )
            out.print(table if assets else "no assets yet; next: usufruct publish PATH --title T")

        show({"assets": [asset.as_dict() for asset in assets]}, as_json, human)

    @app.command("show")
    def show_(asset: Asset, home: HomeDir = None, as_json: Json = False) -> None:
        """Show one asset."""
        from usufruct.workspace import open_home

        with open_home(home, write=False) as ws:
            document = ws.asset(asset).as_dict()

        def human(out: Any) -> None:
            for word, value in document.items():
                if value is not None:
                    out.print(f"[bold]{word.replace('_', ' '):<14}[/] {safe(value, 300)}")

        show(document, as_json, human)

    @app.command("history")
    def history(asset: Asset, home: HomeDir = None, as_json: Json = False) -> None:
        """List the versions of an asset."""
        from usufruct.workspace import open_home

        with open_home(home, write=False) as ws:
            versions = ws.history(asset)

        def human(out: Any) -> None:
            from rich.table import Table

            table = Table("version", "content root", "statement", "published", box=None)
            for version in versions:
                table.add_row(
                    str(version.number),
                    version.content_root[:16] + "…",
                    version.statement[:16] + "…",
                    iso(version.created),
                )
            out.print(table)

        show({"versions": [version.as_dict() for version in versions]}, as_json, human)

    @app.command("retire")
    def retire(
        asset: Asset,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Offer an asset no longer; its evidence stays."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            retired = ws.retire(asset)
        show(
            retired.as_dict(),
            as_json,
            lambda out: out.print(f"{safe(retired.title)} is retired"),
        )

    @app.command("add")
    def add(
        bundle: Annotated[Path, typer.Argument(help="A bundle that another party gave.")],
        home: HomeDir = None,
        as_json: Json = False,
    ) -> None:
        """Verify another party's bundle and keep it, so that lineage can lead to it."""
        from usufruct.workspace import open_home

        with open_home(home) as ws:
            added = ws.receive(bundle)
        show(
            added.as_dict(),
            as_json,
            lambda out: out.print(f"added {safe(added.title)} of {safe(added.owner_name)}"),
        )
