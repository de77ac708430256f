"""``usufruct buy`` and ``usufruct licences``: get a right, and look after the rights one has."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import console, safe, show
from usufruct.clock import iso
from usufruct.errors import UsageError

if TYPE_CHECKING:
    from usufruct.types import Address
    from usufruct.workspace.trade import LicenceView, OfferView

Licence = Annotated[str, typer.Argument(help="The licence, or the start or end of its id.")]


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def buy(
        offer: Annotated[str, typer.Argument(help="The offer, or the start of its id.")],
        for_: Annotated[
            str | None,
            typer.Option("--for", metavar="PARTY", help="Who gets the licence (else this party)."),
        ] = None,
        node: Annotated[
            str | None, typer.Option(metavar="URL", help="Where to read the terms.")
        ] = None,
        allow: Annotated[
            Path | None, typer.Option(metavar="FILE", help="The offer's allow list, if it has one.")
        ] = None,
        terms: Annotated[
            Path | None,
            typer.Option(metavar="FILE", help="The text of the terms, if no node has it."),
        ] = None,
        yes: Annotated[
            bool, typer.Option("--yes", "-y", help="Agree without being asked.")
        ] = False,
        again: Annotated[
            bool, typer.Option("--again", help="Buy another one of an offer that is held already.")
        ] = False,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Buy a licence in one transaction, after reading its terms."""
        from usufruct.market.terms import MAX_TERMS
        from usufruct.workspace import open_home
        from usufruct.workspace.given import read_given

        def agree(seen: OfferView, text: str | None, holder: Address) -> None:
            other = "" if for_ is None else f"{for_} ({holder})"
            _agree(seen, text, other, yes=yes, as_json=as_json)

        with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
            text = None if terms is None else read_given(terms, "terms", limit=MAX_TERMS)
            bought = ws.market.buy(
                offer, for_=for_, node=node, allow=allow, terms=text, again=again, agree=agree
            )

        def human(out: Any) -> None:
            out.print(
                f"[bold]bought[/] a licence of '{safe(bought.title)}' for {safe(bought.price_text)}"
            )
            out.print(f"  licence      {bought.licence}")
            out.print(f"  holder       {bought.holder}")
            out.print(f"  good until   {_until(bought.expiry)}")
            if bought.refund_deadline:
                out.print(f"  refundable   until {iso(bought.refund_deadline)}")
            out.print(f"  transaction  {bought.transaction} in block {bought.block}")
            out.print(f"  receipt      {safe(bought.receipt)}")
            if bought.use == "download" and for_ is None:
                out.print(f"[bold]next:[/] usufruct download {bought.asset[:12]}")

        show(bought.as_dict(), as_json, human)


def register_licences(app: typer.Typer) -> None:
    """Add the commands about licences that one has."""

    @app.callback(invoke_without_command=True)
    def list_(
        context: typer.Context,
        sold: Annotated[
            bool, typer.Option("--sold", help="Those of this party's own assets instead.")
        ] = False,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """List the licences this party holds or has paid for; renew, challenge, transfer them."""
        if context.invoked_subcommand is not None:
            return
        from usufruct.workspace import open_home

        with open_home(home, passphrase=Passphrase(passphrase_file), write=False) as ws:
            found = ws.market.licences(sold=sold)

        def human(out: Any) -> None:
            from rich.table import Table

            last = ("holder",) if sold else ()
            table = Table("licence", "title", "use", "state", "until", "uses", *last, box=None)
            table.columns[0].no_wrap, table.columns[0].min_width = True, 13
            for one in found:
                table.add_row(
                    f"{one.licence[:8]}…{one.licence[-4:]}",
                    safe(one.title or one.asset[:12], 40),
                    str(one.use),
                    _state(one) + ("" if one.mine or sold else " (another's)"),
                    _until(one.expiry),
                    "" if one.uses is None else f"{one.used} of {one.uses}",
                    *((one.holder,) if sold else ()),
                )
            nothing = "no licences sold yet" if sold else "no licences yet"
            out.print(table if found else f"{nothing}; next: usufruct market list")

        show({"licences": [one.as_dict() for one in found]}, as_json, human)

    @app.command()
    def renew(
        licence: Licence,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Pay for another period, or for as many uses again."""
        _act("renewed", "renew", licence, home, passphrase_file, as_json)

    @app.command()
    def challenge(
        licence: Licence,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Say on the ledger that nothing came; the seller proves the delivery, or pays back."""
        _act("challenged", "challenge", licence, home, passphrase_file, as_json)

    @app.command()
    def refund(
        licence: Licence,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Take the price back after an unanswered challenge; as seller, give it back."""
        _act("refunded", "refund", licence, home, passphrase_file, as_json)

    @app.command()
    def release(
        licence: Licence,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """As seller, take the price when the time to challenge is over."""
        _act("released", "release", licence, home, passphrase_file, as_json)

    @app.command()
    def transfer(
        licence: Licence,
        to: Annotated[str, typer.Argument(help="Who gets it: an address or a party's name.")],
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Pass a licence on, where its offer allows that."""
        _act("transferred", "transfer", licence, home, passphrase_file, as_json, to)


def _act(
    done: str,
    what: str,
    licence: str,
    home: Path | None,
    passphrase_file: Path | None,
    as_json: bool,
    *more: str,
) -> None:
    from usufruct.workspace import open_home

    with open_home(home, passphrase=Passphrase(passphrase_file)) as ws:
        now = getattr(ws.market, what)(licence, *more)

    def human(out: Any) -> None:
        out.print(f"[bold]{done}[/] {now.licence}")
        out.print(f"  {_state(now)}, good until {_until(now.expiry)}, holder {now.holder}")
        if done == "challenged":
            out.print("  the seller proves the delivery, or after another refund window:")
            out.print(f"[bold]next:[/] usufruct licences refund {now.licence}")

    show(now.as_dict(), as_json, human)


def _state(one: LicenceView) -> str:
    if one.state == "window":
        return f"refundable until {iso(one.refund_deadline)}"
    return one.state


def _until(expiry: int) -> str:
    return iso(expiry) if expiry else "for ever"


def _agree(seen: OfferView, text: str | None, other: str, *, yes: bool, as_json: bool) -> None:
    """Show what is bought, and ask; a script says --yes."""
    if not as_json:
        out = console(stderr=True)
        out.print(f"[bold]{safe(seen.title or seen.asset[:12])}[/]: {safe(seen.words, 300)}")
        if other:
            out.print(f"for {safe(other)}")
        if seen.terms:
            out.print(f"terms {seen.terms} (SHA-256):")
            for line in (text or "").splitlines():
                out.print("  " + safe(line, 400))
    if yes:
        return
    if as_json or sys.stdin is None or not sys.stdin.isatty():
        raise UsageError(
            "nobody is here to agree to the terms",
            hint="read them with `usufruct market show`, then add --yes",
        )
    if not typer.confirm("Buy it?", err=True):
        raise typer.Abort
