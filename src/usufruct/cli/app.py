"""The list of commands: one file a noun."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from usufruct._version import __version__
from usufruct.cli import (
    asset,
    buy,
    demo,
    download,
    init,
    ledger,
    lineage,
    log,
    market,
    offer,
    predict,
    prove,
    publish,
    serve,
    setup,
    split,
    verify,
    wallet,
)
from usufruct.cli import identity as id_


def _version(value: bool) -> None:
    if value:
        print(f"usufruct {__version__}")
        raise typer.Exit


def build() -> Any:
    """Return the command as a callable."""
    app = typer.Typer(
        name="usufruct",
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        help="Put data and models to work together: evidence anybody can check, a shared ledger, "
        "learning where the data lives.",
    )

    @app.callback()
    def root(
        version: Annotated[
            bool, typer.Option("--version", callback=_version, is_eager=True, help="Say which.")
        ] = False,
    ) -> None:
        """Put data and models to work together, with evidence anybody can check."""

    for module in (demo, setup, init, publish, verify, prove, predict, lineage):
        module.register(app)
    for module in (offer, buy, download, serve):
        module.register(app)
    split.register_income(app)
    for name, module, text in (
        ("asset", asset, "What this home knows of assets: list, show, history, retire, add."),
        ("id", id_, "The identities of this home, encrypted at rest."),
        ("log", log, "The append-only log of this party."),
        ("market", market, "What is on offer: list, search, show, close."),
        ("split", split, "Who gets what of an asset's income: show, propose, sign, withdraw."),
        ("ledger", ledger, "The shared ledger: serve, join, deploy, status, tx."),
        ("wallet", wallet, "The account's balance on the ledger; send."),
    ):
        group = typer.Typer(no_args_is_help=True, help=text, rich_markup_mode="rich")
        module.register(group)
        app.add_typer(group, name=name)
    licences = typer.Typer(help="Rights that were bought: list, renew, challenge, transfer.")
    buy.register_licences(licences)
    app.add_typer(licences, name="licences")
    return app
