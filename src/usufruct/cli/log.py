"""``usufruct log``: the append-only log of this party."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import json_text, safe, show


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command("status")
    def status(home: HomeDir = None, as_json: Json = False) -> None:
        """Show the log's size, root, newest checkpoint and anchor; check it against its files."""
        from usufruct.workspace import open_home

        with open_home(home, write=False) as ws:
            document = ws.log_status()

        def human(out: Any) -> None:
            for word, value in document.items():
                if value is not None:
                    out.print(f"[bold]{word.replace('_', ' '):<12}[/] {safe(value, 300)}")

        show(document, as_json, human)

    @app.command("show")
    def show_(
        index: Annotated[int | None, typer.Argument(min=0, help="One entry, whole.")] = None,
        last: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 20,
        home: HomeDir = None,
        as_json: Json = False,
    ) -> None:
        """Show entries of the log."""
        from usufruct.workspace import open_home

        with open_home(home, write=False) as ws:
            entries = ws.log_entries(index=index, last=last)

        def human(out: Any) -> None:
            from rich.table import Table

            if index is not None:
                out.print(json_text(entries[0]), markup=False, soft_wrap=True)
                return
            table = Table("entry", "type", "subject", "statement", box=None)
            for entry in entries:
                table.add_row(
                    str(entry["index"]),
                    safe(_short(entry["type"])),
                    safe(entry["subject"] or "", 48),
                    str(entry["statement"])[:16],
                )
            out.print(table)

        show({"entries": entries}, as_json, human)

    @app.command("anchor")
    def anchor(
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Sign a checkpoint of the log and anchor it on the ledger."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            made = ws.anchor()
        show(
            made.as_dict(),
            as_json,
            lambda out: out.print(
                f"log of {made.size} entries anchored in block {made.block} ({made.transaction})"
            ),
        )


def _short(type_: str) -> str:
    """Return the name in a predicate type such as ``https://usufruct.dev/dataset/v1``."""
    parts = str(type_).split("/")
    return parts[-2] if len(parts) > 2 else parts[0]
