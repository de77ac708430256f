"""``usufruct setup``: fetch the engine, say what works here and how to get what is missing."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from usufruct.cli.options import Json
from usufruct.cli.output import progress, safe, show


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def setup(
        engine: Annotated[bool, typer.Option(help="Fetch the EVM engine if it is missing.")] = True,
        as_json: Json = False,
    ) -> None:
        """Fetch the EVM engine; say what works on this machine and how to get what is missing."""
        from usufruct.workspace import machine

        report = machine.prepare(fetch_engine=engine, progress=progress(as_json))

        def human(out: Any) -> None:
            for part in report.parts:
                mark = "[green]✓[/]" if part.works else "[yellow]–[/]"
                out.print(f"{mark} [bold]{part.name:<10}[/] {safe(part.detail, 300)}")
                if part.hint:
                    out.print(f"  {'':<10} next: {safe(part.hint, 300)}")

        show(report.as_dict(), as_json, human)
        if engine and not report.engine_works:
            raise typer.Exit(3)
