"""Runs what stands in a page: console blocks in one bash session, python blocks in one namespace.

In what a page shows, ``...`` on a line of its own stands for any lines, within a line for any
text. A hexadecimal number of 12 digits or more stands for whatever came out where it is met
first, and for the same again (or its beginning) afterwards. A time like 2026-01-31T12:00:00Z
stands for any time.
"""

import ast
import contextlib
import io
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
_FENCE = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"
_PIECE = re.compile(rf"(?P<any>\.\.\.)|(?P<time>{_TIME})|(?P<hex>\b(?:0x)?[0-9a-f]{{12,}}\b)")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, the line it starts on, what stands before it."""

    language: str
    text: str
    line: int
    before: str


@dataclass(frozen=True)
class Command:
    """A command of a console block and what the page shows below it."""

    text: str
    shown: str
    line: int


def blocks(page: Path, *languages: str) -> list[Block]:
    text, found, end = page.read_text("utf-8"), [], 0
    for match in _FENCE.finditer(text):
        line = text.count("\n", 0, match.start()) + 1
        block = Block(match[1], match[2], line, text[end : match.start()])
        end = match.end()
        if not languages or block.language in languages:
            found.append(block)
    return found


def commands(page: Path) -> list[Command]:
    found: list[Command] = []
    for block in blocks(page, "console"):
        assert block.text.startswith("$ "), f"{page.name}:{block.line}: begins with no command"
        for number, line in enumerate(block.text.splitlines(), block.line + 1):
            if line.startswith("$ "):
                found.append(Command(line[2:], "", number))
                continue
            last = found[-1]
            if line.startswith("> ") and not last.shown:
                found[-1] = Command(f"{last.text}\n{line[2:]}", "", last.line)
            else:
                found[-1] = Command(last.text, f"{last.shown}{line}\n", last.line)
    return found


class Known:
    """What the numbers in a page stand for, as far as they have been met."""

    def __init__(self) -> None:
        self._values: dict[str, str] = {}

    def compare(self, shown: str, actual: str) -> str | None:
        """Return what is wrong, or None; learn the numbers that are new."""
        groups: list[str] = []
        pattern = "".join(self._line(line.rstrip(), groups) for line in shown.splitlines())
        text = "".join(f"{line.rstrip()}\n" for line in actual.splitlines())
        match = re.fullmatch(pattern, text)
        if match is None:
            return f"shown:\n{shown}\nactual:\n{text}"
        self._values |= dict(zip(groups, match.groups(), strict=True))
        return None

    def _line(self, line: str, groups: list[str]) -> str:
        if line.strip() == "...":
            return r"(?:.*\n)*?"
        out, at = [], 0
        for piece in _PIECE.finditer(line):
            out.append(re.escape(line[at : piece.start()]))
            at = piece.end()
            if piece["any"]:
                out.append(".*?")
            elif piece["time"]:
                out.append(_TIME)
            else:
                out.append(self._number(piece["hex"], groups))
        return "".join(out) + re.escape(line[at:]) + r"\n"

    def _number(self, number: str, groups: list[str]) -> str:
        for known, value in self._values.items():
            if known.startswith(number):
                return re.escape(value[: len(number)])
        if number in groups:
            return rf"(?:\{groups.index(number) + 1})"
        groups.append(number)
        digits = len(number.removeprefix("0x"))
        return f"({'0x' if number.startswith('0x') else ''}[0-9a-f]{{{digits}}})"


def run_console(page: Path, folder: Path, **environment: str) -> list[str]:
    """Run every console block of a page in one session; return what does not come out as shown.

    A command fails the page when it fails, unless ``$ echo $?`` follows it.
    """
    asked = commands(page)
    assert asked, f"{page.name} has no console block"
    home, work, notes = folder / "home", folder / "work", folder / "notes"
    for one in (home, work, notes):
        one.mkdir()
    script = ["trap 'kill $(jobs -p) 2>/dev/null; wait' EXIT", "code=0"]
    for number, command in enumerate(asked):
        (notes / f"{number}.sh").write_text(f"(exit $code)\n{command.text}\n", "utf-8")
        step = f'"{notes}/{number}'
        script.append(f'. {step}.sh" >{step}.out" 2>&1 </dev/null')
        script.append(f'code=$?; echo $code >{step}.code"')
    (notes / "all.sh").write_text("\n".join(script) + "\n", "utf-8")
    kept = {name: os.environ[name] for name in ("TMPDIR", "LANG", "LC_ALL") if name in os.environ}
    subprocess.run(
        ["bash", str(notes / "all.sh")],
        cwd=work,
        env=kept
        | {
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "HOME": str(home),
            "USUFRUCT_HOME": str(home / ".usufruct"),
            "USUFRUCT_PASSPHRASE": "only for this test",
            "COLUMNS": "100",
        }
        | environment,
        timeout=200,
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    known, wrong = Known(), []
    for number, command in enumerate(asked):
        code, output = notes / f"{number}.code", notes / f"{number}.out"
        where = f"{page.name}:{command.line}: $ {command.text}"
        if not code.exists():
            wrong.append(f"{where}\nwas never finished")
            break
        shows_code = number + 1 < len(asked) and asked[number + 1].text == "echo $?"
        actual = output.read_text("utf-8")
        if not shows_code and code.read_text() != "0\n":
            wrong.append(f"{where}\nended with {code.read_text()}{actual}")
        difference = known.compare(command.shown, actual)
        if difference is not None:
            wrong.append(f"{where}\n{difference}")
    return wrong


def run_python(page: Path, folder: Path) -> list[str]:
    """Run every python block of a page in one namespace, as a notebook does.

    A ``text`` block right below shows what is printed, and the value of the last line.
    """
    namespace: dict[str, object] = {"__name__": "__main__"}
    known, wrong = Known(), []
    every = blocks(page, *())
    assert any(block.language == "python" for block in every), f"{page.name} has no python block"
    with contextlib.chdir(folder):
        for number, block in enumerate(every):
            if block.language != "python":
                continue
            after = every[number + 1] if number + 1 < len(every) else None
            told = after is not None and after.language == "text" and not after.before.strip()
            shown = after.text if after is not None and told else ""
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                _run(block.text, namespace, f"{page.name}:{block.line}")
            difference = known.compare(shown, out.getvalue())
            if difference is not None:
                wrong.append(f"{page.name}:{block.line}\n{difference}")
    return wrong


def _run(text: str, namespace: dict[str, object], name: str) -> None:
    tree = ast.parse(text, name)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, name, "exec"), namespace)
    if isinstance(last, ast.Expr):
        value = eval(compile(ast.Expression(last.value), name, "eval"), namespace)
        if value is not None:
            print(repr(value))
