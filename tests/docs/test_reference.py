"""The reference names every command, option and format there is, and no other."""

import re
from pathlib import Path

import typer
from tests.docs.pages import DOCS, ROOT

from usufruct import errors
from usufruct.cli.app import build

CLI = DOCS / "reference" / "cli.md"
FORMATS = DOCS / "reference" / "formats.md"
EVERYWHERE = {"--help"}
ROOT_ONLY = {"--install-completion", "--show-completion"}


def real() -> dict[str, tuple[set[str], list[str]]]:
    """Options and arguments of every command, by its whole name."""
    found: dict[str, tuple[set[str], list[str]]] = {}
    waiting = [("usufruct", typer.main.get_command(build()))]
    while waiting:
        name, command = waiting.pop()
        below = getattr(command, "commands", {})
        waiting += [(f"{name} {word}", one) for word, one in below.items()]
        if below and name != "usufruct":
            continue
        options, arguments = set(), []
        for parameter in command.params:
            if parameter.param_type_name == "option":
                options |= {*parameter.opts, *parameter.secondary_opts}
            else:
                arguments.append(str(parameter.name).upper())
        found[name] = options - EVERYWHERE, arguments
    return found


def told() -> dict[str, tuple[set[str], list[str]]]:
    """The same as the page tells it: a heading a command, a table of what it takes."""
    found: dict[str, tuple[set[str], list[str]]] = {}
    for part in re.split(r"^#+ (?=`usufruct)", CLI.read_text("utf-8"), flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        name = re.match(r"`([a-z ]+[a-z])", heading)[1]
        assert name not in found, f"{name} stands on the page twice"
        cells = [line.split("|")[1] for line in body.splitlines() if line.startswith("| `")]
        words = [word for cell in cells for word in re.findall(r"`(-{0,2}[A-Za-z0-9_-]+)", cell)]
        options = {word for word in words if word.startswith("-")}
        found[name] = options, [word for word in words if not word.startswith("-")]
    return found


def test_every_command_option_and_argument_is_on_the_page():
    page, app = told(), real()
    assert sorted(page) == sorted(app)
    assert page == app


def test_every_exit_code_is_on_the_page():
    codes = {error.exit_code for error in vars(errors).values() if hasattr(error, "exit_code")}
    shown = re.findall(r"^\| (\d+) \|", CLI.read_text("utf-8"), re.MULTILINE)
    assert {int(code) for code in shown} == codes | {0, 130}


def test_every_environment_variable_is_on_the_page():
    text = CLI.read_text("utf-8")
    names = set(re.findall(r"`((?:USUFRUCT|XDG)_[A-Z_]+)`", text))
    source = "".join(path.read_text("utf-8") for path in sources())
    used = set(re.findall(r"\"((?:USUFRUCT|XDG_CACHE)_[A-Z]+)\"", source))
    assert names == used


def test_every_format_and_label_is_on_the_page():
    """Each versioned name in the source is on the page of formats, and the other way round."""
    name = re.compile(r"usufruct/[a-z/-]+/v\d+")
    source = set(name.findall("".join(path.read_text("utf-8") for path in sources())))
    page = set(name.findall(FORMATS.read_text("utf-8")))
    assert page == source


def sources() -> list[Path]:
    return sorted((ROOT / "src" / "usufruct").rglob("*.py"))
