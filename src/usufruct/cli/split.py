"""``usufruct split`` and ``usufruct income``: who gets what of an asset's income."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import Asset, HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import safe, show
from usufruct.units import format_amount


def register(app: typer.Typer) -> None:
    """Add the commands about splits."""

    @app.command("show")
    def show_(
        asset: Annotated[
            str, typer.Argument(help="The asset: its id, the start of it, its title.")
        ],
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Show payees and shares, and what waits to be withdrawn."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file), write=False) as ws:
            found = ws.market.split(asset)

        def human(out: Any) -> None:
            out.print(f"[bold]{safe(found.title or found.asset[:12])}[/] pays to {found.pay_to}")
            for payee in found.payees:
                name = safe(payee.name) if payee.name else payee.address
                out.print(f"  {payee.share:>9}  {name}")
            for money in found.waiting:
                out.print(f"  waiting: {safe(money.text)}")
            if found.waiting and found.digest:
                out.print(f"[bold]next:[/] usufruct split withdraw {found.asset[:12]}")

        show(found.as_dict(), as_json, human)

    @app.command()
    def propose(
        asset: Asset,
        share: Annotated[
            list[str], typer.Option(metavar="PARTY=20%", help="A payee's share; several times.")
        ],
        output: Annotated[
            Path, typer.Option("-o", "--output", metavar="FILE", help="Where the proposal goes.")
        ],
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Propose another split; every payee whose share falls has to sign the file.

        An asset that has none gets its first split at once, if its owner proposes it.
        """
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            made = ws.market.propose(asset, share, output)
        show(made.as_dict(), as_json, lambda out: _proposal(out, made))

    @app.command()
    def sign(
        file: Annotated[Path, typer.Argument(metavar="FILE", help="A proposal.")],
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Agree to a proposal; the last who has to puts the new split on the ledger."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            made = ws.market.sign(file)
        show(made.as_dict(), as_json, lambda out: _proposal(out, made))

    @app.command()
    def withdraw(
        asset: Annotated[
            str, typer.Argument(help="The asset: its id, the start of it, its title.")
        ],
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Pay every payee of an asset what has come in; anybody may do it."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            done = ws.market.withdraw(asset)

        def human(out: Any) -> None:
            for payment in done.payments:
                name = safe(payment.name) if payment.name else payment.payee
                owed = "" if payment.paid else "  (could not be paid; it waits for its payee)"
                out.print(f"  {safe(payment.money.text):>24}  {name}{owed}")
            for money in done.refused:
                out.print(f"  {safe(money.text):>24}  stays: its token refuses")
            out.print("paid" if done.payments else "nothing waits to be withdrawn")

        show(done.as_dict(), as_json, human)


def _proposal(out: Any, made: Any) -> None:
    out.print(f"[bold]split[/] version {made.version} of {made.asset[:12]}")
    for payee in made.payees:
        out.print(f"  {payee.share:>9}  {safe(payee.name or payee.address)}")
    if made.transaction:
        out.print(f"it is on the ledger and governs what comes in from now on ({made.transaction})")
        return
    for payee in made.missing:
        out.print(f"  has to sign: {safe(payee.name)} {payee.address}")
    out.print(f"[bold]next:[/] each of them: usufruct split sign {safe(made.path, 300)}")


def register_income(app: typer.Typer) -> None:
    """Add the command about income."""

    @app.command()
    def income(
        csv: Annotated[bool, typer.Option("--csv", help="A table for a spreadsheet.")] = False,
        all_: Annotated[
            bool, typer.Option("--all", help="Everybody's shares, not this party's alone.")
        ] = False,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """List what came in: when, for what, from whom, whose share, and what of it is paid."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file), write=False) as ws:
            found = ws.market.income(everybody=all_)
        if csv and not as_json:
            sys.stdout.write(found.csv())
            return

        def human(out: Any) -> None:
            from rich.table import Table

            table = Table("time", "for", "from", "paid", "payee", "share", "gets", "", box=None)
            for row in found.rows:
                table.add_row(
                    row.time,
                    safe(f"{row.use} of {row.title or row.asset[:8]}", 40),
                    safe(row.payer_name or row.payer[:10], 20),
                    safe(row.gross),
                    safe(row.payee_name or row.payee[:10], 20),
                    f"{format_amount(row.share, 4)}%",
                    safe(row.amount),
                    row.state,
                )
            out.print(table if found.rows else "no income yet")
            for total in found.totals:
                name = safe(total.name or total.payee[:10], 24)
                out.print(f"[bold]{name}[/] {safe(total.text, 1000)}")

        show(found.as_dict(), as_json, human)
