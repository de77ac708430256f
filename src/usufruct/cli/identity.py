"""``usufruct id``: identities, made, shown, chosen, exported, recovered."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile, read_phrase
from usufruct.cli.output import safe, show

Name = Annotated[str, typer.Argument(help="The identity's name.")]


def _document(key: Any) -> dict[str, Any]:
    public = key.public
    return {
        "name": public.name,
        "current": key.current,
        "address": public.address,
        "signing_key": public.signing_key.hex(),
        "encryption_key": public.encryption_key.hex(),
        "key_id": public.key_id,
    }


def register(app: typer.Typer) -> None:
    """Add the commands."""

    @app.command("new")
    def new(
        name: Name,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Make an identity; its 24 words are shown once (with --json, in the document)."""
        from usufruct.workspace import identities

        made = identities.new(home, name, Passphrase(passphrase_file, confirm=True))
        show(
            {"name": name, "address": made.address, "phrase": made.phrase},
            as_json,
            lambda out: print_new(out, made),
        )

    @app.command("list")
    def list_(home: HomeDir = None, as_json: Json = False) -> None:
        """List the identities of this home."""
        from usufruct.workspace import identities

        keys = identities.keys(home)

        def human(out: Any) -> None:
            from rich.table import Table

            table = Table("", "name", "address", "signing key", box=None)
            for key in keys:
                table.add_row(
                    "[green]*[/]" if key.current else "",
                    safe(key.public.name),
                    key.public.address,
                    key.public.key_id[:24] + "…",
                )
            out.print(table)

        show({"identities": [_document(key) for key in keys]}, as_json, human)

    @app.command("show")
    def show_(
        name: Annotated[str | None, typer.Argument(help="Which (else the current one).")] = None,
        home: HomeDir = None,
        as_json: Json = False,
    ) -> None:
        """Show an identity's public half; needs no passphrase."""
        from usufruct.workspace import identities

        document = _document(identities.key(home, name))

        def human(out: Any) -> None:
            for word, value in document.items():
                out.print(f"[bold]{word.replace('_', ' '):<15}[/] {safe(value)}")

        show(document, as_json, human)

    @app.command("use")
    def use(name: Name, home: HomeDir = None, as_json: Json = False) -> None:
        """Make an identity the current one."""
        from usufruct.workspace import identities

        identities.use(home, name)
        show({"current": name}, as_json, lambda out: out.print(f"{safe(name)} is current now"))

    @app.command("export")
    def export(
        name: Annotated[str | None, typer.Argument(help="Which (else the current one).")] = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Print the 24 words that are the identity: whoever has them, has it."""
        from usufruct.workspace import identities

        made = identities.export(home, name, Passphrase(passphrase_file))
        show(
            {"name": made.name, "address": made.address, "phrase": made.phrase},
            as_json,
            lambda out: out.print(made.phrase),
        )

    @app.command("recover")
    def recover(
        name: Name,
        phrase_file: Annotated[
            Path | None,
            typer.Option(help="File with the 24 words (else they are asked for, unseen)."),
        ] = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Bring an identity back from its 24 words."""
        from usufruct.workspace import identities

        phrase = read_phrase(phrase_file)
        made = identities.recover(home, name, phrase, Passphrase(passphrase_file, confirm=True))
        show(
            {"name": name, "address": made.address},
            as_json,
            lambda out: out.print(f"{safe(name)} is back: {made.address}"),
        )


def print_new(out: Any, made: Any) -> None:
    """Print a new identity and the words it can be recovered from."""
    out.print(f"[bold]{safe(made.name)}[/] is {made.address}")
    out.print("\nWrite these 24 words down and keep them off this machine; they are shown once:\n")
    words = made.phrase.split()
    for start in range(0, len(words), 4):
        line = "  ".join(f"{n + 1:>2} {w:<9}" for n, w in list(enumerate(words))[start : start + 4])
        out.print(f"  {line}")
    out.print("")
