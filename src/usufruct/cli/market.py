"""``usufruct market``: what is on offer: list, search, show, close."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import safe, show
from usufruct.types import AssetKind, Use

Node = Annotated[
    str | None, typer.Option(metavar="URL", help="Ask this node (else the ledger and its nodes).")
]
Kind = Annotated[AssetKind | None, typer.Option(help="Only assets of this kind.")]
ForUse = Annotated[Use | None, typer.Option("--use", help="Only offers for this use.")]
Limit = Annotated[int, typer.Option(min=1, max=1000, help="How many at most.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command("list")
    def list_(
        node: Node = None,
        kind: Kind = None,
        use: ForUse = None,
        limit: Limit = 50,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """List what is on offer, newest first."""
        _find("", node, kind, use, limit, home, passphrase_file, as_json)

    @app.command()
    def search(
        words: Annotated[list[str], typer.Argument(help="Words of a title, kind or owner.")],
        node: Node = None,
        kind: Kind = None,
        use: ForUse = None,
        limit: Limit = 50,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Search what is on offer."""
        _find(" ".join(words), node, kind, use, limit, home, passphrase_file, as_json)

    @app.command("show")
    def show_(
        what: Annotated[str, typer.Argument(help="An asset or an offer, or the start of its id.")],
        node: Node = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Show an asset with its offers, their terms in full."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file), write=False) as ws:
            found = ws.market.show(what, node=node)

        def human(out: Any) -> None:
            out.print(f"[bold]{safe(found.title or 'no title known')}[/]  {found.asset}")
            out.print(f"  {found.kind}, {found.state}, {found.versions} version(s)")
            out.print(f"  owner   {safe(found.owner_name)} {found.owner}")
            out.print(f"  node    {safe(found.node or 'none known')}")
            for offer in found.offers:
                out.print(f"[bold]offer[/] {offer.id}{'' if offer.open else '  (closed)'}")
                out.print(f"  {safe(offer.words, 300)}")
                text = found.terms.get(offer.terms or "")
                if offer.terms and text is None:
                    out.print(f"  terms {offer.terms}: the text could not be had")
                elif text is not None:
                    out.print(f"  terms {offer.terms}:")
                    for line in text.splitlines():
                        out.print("    " + safe(line, 400))
            if any(offer.open for offer in found.offers):
                first = next(offer for offer in found.offers if offer.open)
                out.print(f"[bold]next:[/] usufruct buy {first.id[:12]}")

        show(found.as_dict(), as_json, human)

    @app.command()
    def close(
        offer: Annotated[str, typer.Argument(help="The offer, or the start of its id.")],
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Sell no more licences under an offer; those sold stay good."""
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            closed = ws.market.close(offer)
        show(
            closed.as_dict(),
            as_json,
            lambda out: out.print(f"closed {closed.id}: {safe(closed.words, 300)}"),
        )


def _find(
    words: str,
    node: str | None,
    kind: AssetKind | None,
    use: Use | None,
    limit: int,
    home: HomeDir,
    passphrase_file: PassphraseFile,
    as_json: bool,
) -> None:
    from usufruct.workspace import open_home

    with open_home(home, passphrase=Passphrase(passphrase_file), write=False) as ws:
        found = ws.market.search(words, node=node, kind=kind, use=use, limit=limit)

    def human(out: Any) -> None:
        from rich.table import Table

        table = Table("offer", "asset", "title", "kind", "owner", "terms", box=None)
        for ids in table.columns[:2]:
            ids.no_wrap, ids.min_width = True, 12
        for item in found:
            for offer in item.offers:
                table.add_row(
                    offer.id[:12],
                    item.asset[:12],
                    safe(item.title or "?", 40),
                    str(item.kind),
                    safe(item.owner_name or item.owner, 24),
                    safe(offer.words, 120),
                )
        nothing = "nothing is on offer; next: usufruct offer ASSET --use download --price 5"
        if words or kind or use:
            nothing = "nothing on offer is like that; next: usufruct market list"
        out.print(table if found else nothing)

    show({"assets": [item.as_dict() for item in found]}, as_json, human)
