"""``usufruct serve`` and ``usufruct faucet``: a party's node, and test money."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import console, safe, show, show_document


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command()
    def serve(
        host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8700,
        public_url: Annotated[
            str | None, typer.Option(metavar="URL", help="How others reach it, if not so.")
        ] = None,
        tls_cert: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Certificate chain (PEM).")
        ] = None,
        tls_key: Annotated[
            Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")
        ] = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Run this party's node: catalogue, terms, delivery. Stops with Ctrl-C."""
        from usufruct.node.run import run_node

        def started(said: dict[str, Any]) -> None:
            if as_json:
                show_document(said)
                sys.stdout.flush()
                return
            out = console()
            out.print(f"[bold]{safe(said['name'])}'s node[/] at {said['url']}")
            out.print(f"  what there is   {said['url']}/assets   (API: {said['url']}/openapi.json)")
            out.print("  requests are logged to stderr; Ctrl-C stops")

        run_node(
            home,
            passphrase=Passphrase(passphrase_file),
            started=started,
            host=host,
            port=port,
            public_url=public_url,
            tls_cert=tls_cert,
            tls_key=tls_key,
        )

    @app.command()
    def faucet(
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Get test dollars, on a ledger that has them: a home's own, for trying things out."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            got = ws.market.faucet()
        show(
            got,
            as_json,
            lambda out: out.print(f"{got['address']} has {got['balance']} {safe(got['token'])}"),
        )
