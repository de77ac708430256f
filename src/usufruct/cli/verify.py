"""``usufruct verify``: does the evidence hold, and who must be believed for what?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Annotated, Any

import typer

from usufruct.cli.options import HomeDir, Json, Passphrase, PassphraseFile
from usufruct.cli.output import plain, progress, safe, show
from usufruct.errors import UsageError

ROUNDS = "rounds"
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
            int | None, typer.Option(min=1, metavar="N", help="Read N chunks chosen at random.")
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
        by: Annotated[
            list[str] | None,
            typer.Option(
                metavar="ADDRESS|NAME",
                help="Insist that this party published it; a name as this home knows it (repeat).",
            ),
        ] = None,
        home: HomeDir = None,
        passphrase_file: PassphraseFile = None,
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
            by=by or [],
            progress=progress(as_json),
            passphrase=Passphrase(passphrase_file),
        )
        show(report.as_dict(), as_json, lambda out: print_report(out, report))


def print_report(out: Any, report: Any) -> None:
    """Print what was verified, one line a thing, with its grades of proof."""
    print_steps(out, report.steps)
    out.print(f"[bold green]verified[/]: {safe(report.summary, 400)}")
    out.print(f"[bold]published by[/] {safe(report.publisher, 200)}", soft_wrap=True)
    if not report.publisher.expected:
        out.print(
            "  a name is what a party calls itself: compare the account with one you know, "
            "or give it with --by"
        )
    if report.network is not None:
        operator = report.network.operator
        out.print(
            f"[bold]confirmed by[/] ledger {report.network.chain_id}, whose network file was "
            f"signed by {safe(operator.name)} ({operator.address})",
            soft_wrap=True,
        )


def print_steps(out: Any, steps: Sequence[Any]) -> None:
    """Print steps under what they are about; a run of rounds of one kind is one line."""
    for key, group in groupby(steps, key=_about):
        found = list(group)
        if key[0] == ROUNDS:
            out.print(f"[bold]{len({step.subject for step in found})} rounds[/]")
            _print_rounds(out, found)
            continue
        out.print(f"[bold]{safe(found[0].subject.split(' (0x')[0], 100)}[/]")
        for step in found:
            _line(out, str(step.grade), _words(step))


def _about(step: Any) -> tuple[str, str]:
    if step.subject.startswith("round "):
        return (ROUNDS, "")
    return (step.subject, step.statement or "")


def _line(out: Any, grade: str, words: str) -> None:
    colour = _COLOURS.get(grade, "red")
    out.print(f"  [{colour}]{grade:<9}[/]  {safe(words, 240)}")


def _names(step: Any) -> str:
    return ", ".join(plain(name.split(" (0x")[0], 40) for name in step.by)


def _words(step: Any) -> str:
    grade = str(step.grade)
    if grade == "attested":
        detail = f" ({step.detail})" if step.detail and "root" not in step.detail else ""
        return f"{step.claim}, says {_names(step)}{detail}"
    return f"{step.claim}: {step.detail}" if step.detail else str(step.claim)


def _print_rounds(out: Any, steps: Sequence[Any]) -> None:
    """Print who signed which rounds, and how far they stand on a ledger."""
    signed = [step for step in steps if str(step.grade) == "attested"]
    placed = [step for step in steps if str(step.grade) != "attested"]
    for key, group in groupby(signed, key=lambda step: (step.claim.split("'")[1:2], step.by)):
        found = list(group)
        kind = (key[0] or ["step"])[0]
        cosigned = "computed again and signed" if len(key[1]) > 1 else "signed"
        _line(out, "attested", f"{_span(found)} '{kind}', {cosigned} by {_names(found[0])}")
    for grade, group in groupby(placed, key=lambda step: str(step.grade)):
        found = list(group)
        _line(out, grade, f"{_span(found)} in the log of the coordinator: {found[0].detail}")


def _span(steps: Sequence[Any]) -> str:
    numbers = sorted({int(step.subject.split()[1]) for step in steps})
    return f"{numbers[0]} to {numbers[-1]}" if len(numbers) > 1 else f"{numbers[0]}"
