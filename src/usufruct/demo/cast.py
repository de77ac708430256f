"""Who plays, and where: a folder each, a passphrase for all, the ledger as a process."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from usufruct.errors import AlreadyExists, Unavailable
from usufruct.store import HomeLock, make_folder, write_atomic

MARKER = ".usufruct-demo"
KEY_FILE = "passphrase"
HOSPITALS = {
    "cleveland": "Cleveland",
    "hungarian": "Budapest",
    "switzerland": "Zurich and Basel",
    "va": "Long Beach",
}
"""The parties' short names, by the key of their file."""


@dataclass(frozen=True, slots=True)
class Stage:
    """The demo's folder: one home a party, one passphrase file for all of them."""

    folder: Path

    @classmethod
    def build(cls, keep: Path | None) -> Stage:
        """Make the folder anew.

        Parameters
        ----------
        keep
            A new or empty folder; by default one in the cache that each demo replaces.

        Raises
        ------
        AlreadyExists
            `keep` holds something.
        HomeBusy
            The last demo's ledger is being served.
        """
        folder = keep or default_folder()
        if keep is None and (folder / MARKER).exists():
            in_use = folder / "operator" / "home" / "ledger"
            if in_use.is_dir():
                HomeLock(in_use / "lock").acquire().release()
            shutil.rmtree(folder)
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise AlreadyExists(f"{folder} is not empty", hint="name a new folder with --keep")
        make_folder(folder)
        write_atomic(folder / MARKER, b"made by usufruct demo; may be deleted\n")
        write_atomic(folder / KEY_FILE, secrets.token_urlsafe(18).encode() + b"\n")
        return cls(folder.absolute())

    @property
    def passphrase_file(self) -> Path:
        """The file that opens every home of the demo."""
        return self.folder / KEY_FILE

    def passphrase(self) -> str:
        """Return what opens every home of the demo."""
        return self.passphrase_file.read_text().strip()

    def home(self, who: str) -> Path:
        """Return a party's home."""
        return self.folder / who / "home"

    def data(self, who: str) -> Path:
        """Return the folder that a party keeps its own files in."""
        return self.folder / who


def default_folder() -> Path:
    """Return where the newest demo is kept."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "usufruct" / "demo"


@contextmanager
def ledger(stage: Stage, network: Path) -> Iterator[dict[str, Any]]:
    """Run ``usufruct ledger serve`` as the operator's own process; yield what it printed.

    Raises
    ------
    Unavailable
        It did not start; its own words are in the message.
    """
    with _process(
        stage,
        "operator",
        "ledger",
        *("ledger", "serve", "--name", "heart study", "--network", str(network)),
    ) as said:
        yield said


@contextmanager
def node(stage: Stage, who: str) -> Iterator[dict[str, Any]]:
    """Run ``usufruct serve`` as a party's own process; yield what it printed (Unavailable)."""
    with _process(stage, who, "node", "serve", "--port", "0") as said:
        yield said


@contextmanager
def _process(stage: Stage, who: str, what: str, *words: str) -> Iterator[dict[str, Any]]:
    command = [
        *(sys.executable, "-m", "usufruct", *words, "--json", "--home", str(stage.home(who))),
        *("--passphrase-file", str(stage.passphrase_file)),
    ]
    place = stage.folder / f"{what}.log"
    log = place.open("wb")
    child = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, text=True
    )
    try:
        yield _first_document(child, what, place)
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(20)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
        if child.stdout is not None:
            child.stdout.close()
        log.close()


def _first_document(child: subprocess.Popen[str], what: str, log: Path) -> dict[str, Any]:
    text = ""
    for line in child.stdout or ():
        text += line
        if line.rstrip("\n") == "}":
            break
    with contextlib.suppress(ValueError):
        document = json.loads(text)
        if isinstance(document, dict) and "url" in document:
            return document
        text = str(document.get("message", text)) if isinstance(document, dict) else text
    words = text.strip() or log.read_text(errors="replace").strip()[-400:]
    raise Unavailable(f"the {what} did not start: {words}", hint="usufruct setup")


def run_cli(*arguments: str) -> tuple[int, Mapping[str, Any]]:
    """Run the command as a user would, with ``--json``; return exit code and document."""
    done = subprocess.run(
        [sys.executable, "-m", "usufruct", *arguments, "--json"],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )
    try:
        return done.returncode, json.loads(done.stdout)
    except ValueError:
        return done.returncode, {"message": done.stderr.strip()}
