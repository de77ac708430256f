"""``usufruct init``: a home with an identity and a log; a ledger if wanted."""

from __future__ import annotations

import getpass
from typing import Annotated, Any

import typer

from usufruct.cli.identity import print_new
from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import safe, show
from usufruct.errors import UsageError


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def init(
        network: Annotated[
            str,
            typer.Option(
                metavar="FILE|embedded|none",
                help="A shared ledger's network file, a ledger of this home's own, or none.",
            ),
        ] = "none",
        name: Annotated[str | None, typer.Option(help="Who you are, as others read it.")] = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Make a home: identity, log, vault; join a ledger if one is named."""
        from usufruct.workspace import create

        created = create(
            home,
            name=name or _user(),
            network=network,
            passphrase=Passphrase(passphrase_file, confirm=True),
        )

        def human(out: Any) -> None:
            out.print(f"[bold]home[/] {safe(created.home)}")
            print_new(out, created.identity)
            out.print(f"[bold]ledger[/] {safe(created.ledger)}")
            if created.note:
                out.print(f"  not registered there yet: {safe(created.note, 500)}")
            out.print("[bold]next:[/] usufruct publish PATH --title 'What it is'")

        show(created.as_dict(), as_json, human)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        raise UsageError("this user has no name", hint="say who you are: --name NAME") from None
