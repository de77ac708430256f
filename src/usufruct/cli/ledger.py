"""``usufruct ledger``: run one, join one, look at one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import safe, show, show_error
from usufruct.errors import UsufructError

NetworkFile = Annotated[
    Path | None, typer.Option("--network", metavar="FILE", help="The network file.")
]


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command("serve")
    def serve(
        network: NetworkFile = None,
        name: Annotated[str | None, typer.Option(help="What the network is called.")] = None,
        host: Annotated[str, typer.Option(help="Where to listen.")] = "127.0.0.1",
        port: Annotated[int, typer.Option(min=0, max=65535, help="0: as before, or free.")] = 0,
        public_url: Annotated[
            str | None, typer.Option(help="What others call this address, behind a proxy.")
        ] = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Run this home's ledger for others; they join by the network file that is written."""
        from usufruct.workspace import serving

        said = False

        def started(document: dict[str, Any]) -> None:
            nonlocal said

            def human(out: Any) -> None:
                out.print(
                    f"[bold]{safe(document['name'])}[/] chain {document['chain_id']} at "
                    f"{document['url']}"
                )
                out.print(f"network file {safe(document['network'], 500)}; give it to the others")
                out.print("[bold]next:[/] they run usufruct init --network FILE; Ctrl-C stops")

            show(document, as_json, human)
            sys.stdout.flush()
            said = True

        try:
            serving.serve(
                home,
                passphrase=Passphrase(passphrase_file),
                network=network,
                name=name,
                host=host,
                port=port,
                url=public_url,
                started=started,
            )
        except UsufructError as error:
            if not said:
                raise
            # its one document is out already: what ended it is said in words
            raise typer.Exit(show_error(error, False)) from error

    @app.command("join")
    def join(
        network: Annotated[Path, typer.Argument(help="The network file its operator gave.")],
        operator: Annotated[
            str | None, typer.Option(help="Insist that this account signed the file.")
        ] = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Let this home use a ledger, and register its party there."""
        from usufruct.workspace import join as join_network

        transaction = join_network(
            home, network, passphrase=Passphrase(passphrase_file), operator=operator
        )
        show(
            {"joined": True, "transaction": transaction},
            as_json,
            lambda out: out.print(f"joined; registered by {transaction or 'an earlier one'}"),
        )

    @app.command("deploy")
    def deploy(
        rpc: Annotated[str, typer.Option(help="URL of the chain's JSON-RPC endpoint.")],
        network: Annotated[
            Path, typer.Option("--network", metavar="FILE", help="Where the network file goes.")
        ],
        name: Annotated[str, typer.Option(help="What the network is called.")],
        finality: Annotated[
            str, typer.Option(help="latest, finalized, or a number of confirmations.")
        ] = "finalized",
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Deploy the contracts on any EVM chain, paid by this home's account."""
        from usufruct.workspace import serving

        document = serving.deploy(
            home,
            rpc,
            network,
            name=name,
            finality=finality,
            passphrase=Passphrase(passphrase_file),
        )
        show(document, as_json, lambda out: _print(out, document))

    @app.command("status")
    def status(
        network: NetworkFile = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Check the ledger against its network file: chain, genesis, contract code."""
        from usufruct.workspace import serving

        document = serving.status(home, network, Passphrase(passphrase_file))
        show(document, as_json, lambda out: _print(out, document))

    @app.command("tx")
    def tx(
        transaction: Annotated[str, typer.Argument(help="The transaction's hash.")],
        network: NetworkFile = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Show what became of a transaction, its events decoded."""
        from usufruct.workspace import serving

        document = serving.transaction(
            home, network, transaction, passphrase=Passphrase(passphrase_file)
        )
        show(document, as_json, lambda out: _print(out, document))


def _print(out: Any, document: dict[str, Any]) -> None:
    for word, value in document.items():
        shown = value
        if isinstance(value, dict):
            shown = ", ".join(f"{key} {item}" for key, item in value.items())
        if isinstance(value, list):
            out.print(f"[bold]{word.replace('_', ' ')}[/]")
            for item in value:
                words = ", ".join(f"{key} {part}" for key, part in item.items())
                out.print(f"  {safe(words, 1000)}", soft_wrap=True)
            continue
        out.print(f"[bold]{word.replace('_', ' '):<12}[/] {safe(shown, 500)}")
