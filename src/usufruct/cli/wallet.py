"""``usufruct wallet``: the account's balance; send."""

from __future__ import annotations

from typing import Annotated

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import safe, show
from usufruct.units import format_amount


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command("show")
    def show_(
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Show the account and its balance."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file), write=False) as ws:
            document = ws.wallet()
        show(
            document,
            as_json,
            lambda out: out.print(
                f"{document['address']}  {format_amount(int(document['balance_wei']))} ether  "
                f"on {safe(document['network'])} (chain {document['chain_id']})"
            ),
        )

    @app.command("send")
    def send(
        to: Annotated[str, typer.Argument(help="The account that gets it.")],
        amount: Annotated[str, typer.Argument(help="How much, in ether (like 0.25).")],
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Send ether to another account."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            sent = ws.send(to, amount)
        show(
            sent,
            as_json,
            lambda out: out.print(
                f"sent {format_amount(int(sent['amount_wei']))} ether to {sent['to']} "
                f"in block {sent['block']} ({sent['transaction']})"
            ),
        )
