"""``usufruct offer``: put an asset up for sale, or give rights to it away."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import Asset, HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import progress, safe, show
from usufruct.types import Use


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def offer(
        asset: Asset,
        use: Annotated[Use, typer.Option(help="What a licence allows.")],
        price: Annotated[str, typer.Option(help="Of one licence, in the token (like 5 or 0.25).")],
        token: Annotated[
            str | None,
            typer.Option(help="Its address, or 'ether' (else the network's test dollar)."),
        ] = None,
        period: Annotated[
            str | None, typer.Option(help="How long a licence lasts: 90m, 12h, 30d (else ever).")
        ] = None,
        uses: Annotated[int | None, typer.Option(min=1, help="How often it can be used.")] = None,
        cap: Annotated[
            int | None, typer.Option(min=1, help="How many licences are sold at most.")
        ] = None,
        allow: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Who may hold one, an address a line.")
        ] = None,
        royalty: Annotated[
            str, typer.Option(help="Share of the income of what is made from it (20%).")
        ] = "0%",
        terms: Annotated[
            Path | None, typer.Option(metavar="FILE", help="The text a buyer agrees to.")
        ] = None,
        refund: Annotated[
            str | None, typer.Option(help="How long a buyer may challenge (2h); none if left out.")
        ] = None,
        transferable: Annotated[
            bool, typer.Option("--transferable", help="A holder may pass a licence on.")
        ] = False,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Offer licences of an asset of this home to everybody, or to those on a list."""
        from usufruct.workspace import open_home

        shown = progress(as_json)
        with open_home(home, passphrase=Passphrase(passphrase_file), progress=shown) as ws:
            made = ws.market.offer(
                asset,
                use=use,
                price=price,
                token=token,
                period=period,
                uses=uses,
                cap=cap,
                allow=allow,
                royalty=royalty,
                terms=terms,
                refund=refund,
                transferable=transferable,
            )

        def human(out: Any) -> None:
            out.print(f"[bold]offered[/] '{safe(made.title)}': {safe(made.words, 300)}")
            out.print(f"  offer  {made.id}")
            if made.terms:
                out.print(f"  terms  {made.terms} (SHA-256 of the text)")
            out.print("[bold]next:[/] usufruct serve, so that others find and fetch it")

        show(made.as_dict(), as_json, human)
