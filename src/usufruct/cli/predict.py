"""``usufruct predict``: a model's answer, with a statement that verifies."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import progress, safe, show


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def predict(
        model: Annotated[str, typer.Argument(help="A model of this home, or a model's folder.")],
        data: Annotated[Path, typer.Option(help="Rows to answer: CSV as the model's schema says.")],
        output: Annotated[
            Path | None,
            typer.Option("-o", "--output", help="Where the bundle goes (else kept in the home)."),
        ] = None,
        force: Annotated[bool, typer.Option("--force", help="Overwrite OUTPUT.")] = False,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
        as_json: Json = False,
    ) -> None:
        """Answer each row of DATA and sign what was answered by which model to which input."""
        from usufruct.workspace import open_home

        with open_home(
            home, passphrase=Passphrase(passphrase_file), progress=progress(as_json)
        ) as ws:
            made = ws.predict(model, data, output=output, force=force)

        def human(out: Any) -> None:
            from rich.table import Table

            table = Table("row", "answer", "probability", box=None)
            for number, answer in enumerate(made.answers[:50], 1):
                table.add_row(str(number), safe(answer.label), answer.probability)
            out.print(table)
            if len(made.answers) > 50:
                out.print(f"and {len(made.answers) - 50} more (--json lists all)")
            out.print(f"statement {made.statement}, bundle {safe(made.bundle, 500)}")
            out.print(f"[bold]next:[/] usufruct verify {safe(shlex.quote(str(made.bundle)), 500)}")

        show(made.as_dict(), as_json, human)
