"""``usufruct verify``: does the evidence hold, and who must be believed for what?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json
from usufruct.cli.output import progress, safe, show
from usufruct.errors import UsageError

_COLOURS = {
    "proved": "green",
    "attested": "yellow",
    "logged": "cyan",
    "anchored": "cyan",
    "confirmed": "green",
}


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def verify(
        target: Annotated[
            str, typer.Argument(help="A file or folder, a bundle, or an asset of this home.")
        ],
        ledger: Annotated[
            bool, typer.Option("--ledger", help="Ask the ledger too, and confirm anchors there.")
        ] = False,
        full: Annotated[
            bool, typer.Option("--full", help="Read every byte; trust no cached digest.")
        ] = False,
        sample: Annotated[
            int | None, typer.Option(min=1, metavar="N", help="Read N files chosen at random.")
        ] = None,
        data: Annotated[
            list[Path] | None,
            typer.Option(help="Data at hand to check parents against, down to the row (repeat)."),
        ] = None,
        evidence: Annotated[
            Path | None,
            typer.Option(help="The evidence of TARGET, if it does not stand beside it."),
        ] = None,
        network: Annotated[
            Path | None, typer.Option(metavar="FILE", help="The ledger to ask, without a home.")
        ] = None,
        home: HomeDir = None,
        as_json: Json = False,
    ) -> None:
        """Check the whole chain of evidence; exit 1 and name the place if it does not hold."""
        from usufruct.workspace import verify as verify_target

        if full and sample:
            raise UsageError("--full and --sample exclude each other", hint="give one of them")
        report = verify_target(
            target,
            home=home,
            ledger=ledger,
            network=network,
            full=full,
            sample=sample,
            data=data or [],
            evidence=evidence,
            progress=progress(as_json),
        )
        show(report.as_dict(), as_json, lambda out: print_report(out, report))


def print_report(out: Any, report: Any) -> None:
    """Print each step of a verification with its grade of proof."""
    print_steps(out, report.steps)
    out.print(f"[bold green]verified[/]: {safe(report.summary, 400)}")


def print_steps(out: Any, steps: Sequence[Any], limit: int | None = None) -> None:
    """Print steps as a table; of more than `limit` the first and the last ones."""
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for heading in ("grade", "what", "claim", "whose word"):
        table.add_column(heading, overflow="fold")
    count = len(steps)
    shown = list(range(count))
    if limit is not None and count > limit:
        shown = [*range(limit - limit // 2), -1, *range(count - limit // 2, count)]
    for place in shown:
        if place < 0:
            table.add_row("[dim]…[/]", f"[dim]{count - (limit or 0)} more steps[/]", "", "")
            continue
        step = steps[place]
        colour = _COLOURS.get(str(step.grade), "red")
        by = ", ".join(name.split(" (0x")[0] for name in step.by)
        table.add_row(
            f"[{colour}]{safe(step.grade)}[/]",
            safe(step.subject, 60),
            safe(step.claim, 120) + (f" [dim]({safe(step.detail, 160)})[/]" if step.detail else ""),
            safe(by, 100) if str(step.grade) != "proved" else "nobody's",
        )
    out.print(table)
