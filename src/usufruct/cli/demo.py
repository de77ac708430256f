"""``usufruct demo``: the main job on real files, to look at."""

from __future__ import annotations

import contextlib
import shlex
import shutil
import sys
from pathlib import Path
from statistics import mean, stdev
from typing import Annotated, Any

import typer

from usufruct.cli.options import Json
from usufruct.cli.output import console, plain, progress, safe, show


def register(app: typer.Typer) -> None:
    """Add the command."""

    @app.command()
    def demo(
        keep: Annotated[
            Path | None,
            typer.Option(metavar="DIR", help="A new folder for the homes (else in the cache)."),
        ] = None,
        as_json: Json = False,
    ) -> None:
        """Four hospitals, a builder, a clinic: from files to a model, verified and sold."""
        from usufruct.demo import Outcome, Scene, Story
        from usufruct.demo.cast import Stage
        from usufruct.workspace import machine

        report = machine.prepare(progress=progress(as_json))
        machine.require(report, "ledger", "learn", "engine")
        stage = Stage.build(keep)
        out = console()
        number = 0

        def begun(title: str) -> None:
            nonlocal number
            number += 1
            if not as_json:
                out.print(f"[bold]{number}. {safe(title)}[/]")

        def told(scene: Scene) -> None:
            if as_json:
                return
            for line in scene.lines:
                out.print("   " + safe(_near(line, stage.folder), 300))
            out.print(f"   [dim]{scene.seconds:.1f} s[/]")

        def round_told(count: int, accuracy: float) -> None:
            if not as_json and count in (1, 2, 3, 5, 10, 15):
                out.print(f"   [dim]round {count:>2}  test accuracy {accuracy:.3f}[/]")

        outcome: Outcome = Story(stage, begun, told, round_told).play()
        show(outcome.as_dict(), as_json, lambda console: _closing(console, outcome))


def _closing(out: Any, outcome: Any) -> None:
    from rich.table import Table

    from usufruct.cli.verify import print_steps
    from usufruct.demo.story import FLAMBY

    out.print("\n[bold]What was verified, and whose word each step is[/]")
    print_steps(out, outcome.steps)
    out.print("\n[bold]Lineage[/]")
    lines = outcome.tree.splitlines()
    for line in lines[:14]:
        out.print("  " + plain(line, 110), markup=False)
    if len(lines) > 14:
        out.print(f"  … {len(lines) - 14} more lines: usufruct lineage")
    out.print("\n[bold]Test accuracy[/] on rows that no round has seen")
    table = Table("", "right", "of", "accuracy", box=None)
    for name, (correct, rows) in outcome.accuracy.items():
        table.add_row(safe(name), str(correct), str(rows), f"{correct / rows:.3f}")
    correct, rows = (sum(pair[i] for pair in outcome.accuracy.values()) for i in (0, 1))
    table.add_row("[bold]pooled[/]", str(correct), str(rows), f"[bold]{outcome.pooled:.3f}[/]")
    out.print(table)
    out.print(
        "  FLamby published "
        + ", ".join(f"{value} ({what})" for what, value in FLAMBY.items())
        + ".\n  Our test sets have the sizes of its, but not the rows: "
        f"other rows would give {mean(outcome.splits):.3f} ± {stdev(outcome.splits):.3f}."
    )
    where = safe(_near(str(outcome.folder), outcome.folder), 500)
    out.print(f"\n[bold]{outcome.seconds:.0f} s[/] in all; everything is in {where}")
    out.print("[bold]Try next:[/]")
    for command in outcome.commands:
        out.print("  " + _runnable(_near(command, outcome.folder)), markup=False, soft_wrap=True)


def _near(text: str, folder: Path) -> str:
    """Return a text with the demo's folder named as seen from here."""
    try:
        return text.replace(str(folder), str(folder.relative_to(Path.cwd())))
    except ValueError:
        return text


def _runnable(command: str) -> str:
    """Return a command as this shell finds it: not everybody has activated the environment."""
    if shutil.which("usufruct"):
        return command
    here = Path(sys.argv[0])
    with contextlib.suppress(ValueError):
        here = here.absolute().relative_to(Path.cwd())
    return shlex.quote(str(here)) + command.removeprefix("usufruct")
