"""Installs a peer's npm package, by a committed lock file, into a cache outside the checkout."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from bench.peers.figures import PeerMissing

LOCKS = Path(__file__).resolve().parent / "locks"
FILES = ("package.json", "package-lock.json", ".npmrc")


def install(peer: str) -> Path:
    """Return the peer's ``node_modules``, as ``locks/<peer>`` says; no script of it is run.

    Raises
    ------
    PeerMissing
        There is no npm, or it could not fetch what is locked.
    """
    contents = b"".join((LOCKS / peer / name).read_bytes() for name in FILES)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    parent = cache / "usufruct" / "bench"
    folder = parent / f"{peer}-{hashlib.sha256(contents).hexdigest()[:16]}"
    if not folder.is_dir():
        npm = shutil.which("npm")
        if npm is None:
            raise PeerMissing("there is no npm on the PATH")
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _install(npm, peer, folder)
        except (OSError, subprocess.SubprocessError) as error:
            raise PeerMissing(f"npm could not install it ({error})") from None
    return folder / "node_modules"


def _install(npm: str, peer: str, folder: Path) -> None:
    # Installed beside and renamed, so that an interrupted install is never taken for a whole one.
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        fresh = Path(scratch) / "fresh"
        fresh.mkdir()
        for name in FILES:
            shutil.copy(LOCKS / peer / name, fresh)
        print(f"installing the contracts of {peer} from npm", file=sys.stderr)
        done = subprocess.run(
            [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"],
            cwd=fresh,
            # npm has no business with what opens the keys
            env={key: value for key, value in os.environ.items() if key != "USUFRUCT_PASSPHRASE"},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
        )
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if line.startswith("npm error")]
            why = lines[0].removeprefix("npm error ").strip() if lines else "no reason given"
            raise PeerMissing(f"npm could not install it ({why[:200]})")
        try:
            fresh.rename(folder)
        except OSError:
            if not folder.is_dir():  # another process was faster: its install is as good
                raise
