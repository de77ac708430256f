"""The reference names every command, option and format there is, and no other."""

import json
import re
from pathlib import Path

import pytest
import typer
from tests.docs.pages import DOCS, ROOT

from usufruct import errors
from usufruct.cli.app import build

CLI = DOCS / "reference" / "cli.md"
FORMATS = DOCS / "reference" / "formats.md"
SELLING = DOCS / "tutorials" / "selling.md"
CONTRACTS = DOCS / "reference" / "contracts.md"
STANDARD = {
    *("Approval", "ApprovalForAll", "Transfer", "URI", "DOMAIN_SEPARATOR", "allowance", "approve"),
    *(
        "balanceOf",
        "balanceOfBatch",
        "decimals",
        "getApproved",
        "isApprovedForAll",
        "name",
        "nonces",
    ),
    *("ownerOf", "permit", "safeTransferFrom", "setApprovalForAll", "supportsInterface", "symbol"),
    *("tokenURI", "totalSupply", "transfer", "transferFrom", "version", "InvalidAccountNonce"),
    *("FailedCall", "FailedDeployment", "InsufficientBalance"),
    *(f"{kind}_WITH_AUTHORIZATION_TYPEHASH" for kind in ("TRANSFER", "RECEIVE")),
    "CANCEL_AUTHORIZATION_TYPEHASH",
}
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
        alone = getattr(command, "invoke_without_command", False)
        if below and not alone and name != "usufruct":
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


def test_the_readme_shows_commands_there_are():
    app = real()
    text = (ROOT / "README.md").read_text("utf-8")
    for line in re.findall(r"^\$ (.*)$", text, re.MULTILINE):
        for command in line.partition("#")[0].split("&&"):
            words = command.split()
            if words[0] != "usufruct":
                continue
            start = f"{command.strip()} "
            name = max((name for name in app if start.startswith(f"{name} ")), key=len)
            assert name != "usufruct", command
            assert {word for word in words if word.startswith("-")} <= app[name][0], command


def test_the_readme_sells_and_buys_in_five_commands():
    text = (ROOT / "README.md").read_text("utf-8")
    section = text.partition("\n## Sell and buy in five commands\n")[2].partition("\n## ")[0]
    shown = re.findall(r"^\$ usufruct (\w+)", section, re.MULTILINE)
    assert shown == ["offer", "serve", "market", "buy", "download"]
    assert set(shown) <= set(re.findall(r"^\$.*usufruct (\w+)", SELLING.read_text("utf-8"), re.M))


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


@pytest.mark.parametrize(
    "name", ["Parties", "Anchors", "Assets", "Licences", "Splits", "TestDollar"]
)
def test_a_contract_is_on_the_page_with_all_that_is_its_own(name):
    artefact = ROOT / "src" / "usufruct" / "ledger" / "artefacts" / f"{name}.json"
    kinds = ("function", "event", "error")
    named = {
        one["name"] for one in json.loads(artefact.read_bytes())["abi"] if one["type"] in kinds
    }
    section = CONTRACTS.read_text("utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]
    foreign = {one for one in named if re.match(r"(ERC|ECDSA|SafeERC20|ReentrancyGuard)\d*", one)}
    assert named - foreign - STANDARD <= set(re.findall(r"`([A-Za-z_]+)", section))


def sources() -> list[Path]:
    return sorted((ROOT / "src" / "usufruct").rglob("*.py"))
