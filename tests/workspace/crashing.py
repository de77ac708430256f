"""A process that kills itself with SIGKILL at its N-th touch of the disk (or shows how many)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

CHILD = """
import os, signal, sqlite3, sys
at, script = float(sys.argv[1]), sys.argv[2]
calls = 0

def mine(real):
    # every touch of the disk is a possible last moment, before it or right after
    def call(*args, **kwargs):
        global calls
        calls += 1
        if calls == at:
            os.kill(os.getpid(), signal.SIGKILL)
        result = real(*args, **kwargs)
        if calls + 0.5 == at:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return call

class Connection(sqlite3.Connection):
    execute = mine(sqlite3.Connection.execute)

def connect(*args, **kwargs):
    return real_connect(*args, factory=Connection, **kwargs)

real_connect = sqlite3.connect

def armed():
    sqlite3.connect = connect
    os.fsync, os.rename, os.replace, os.unlink = map(
        mine, (os.fsync, os.rename, os.replace, os.unlink)
    )

exec(compile(script, "script", "exec"))
print("calls", calls)
"""


def play(script: str, at: float, folder: Path, **environment: str) -> tuple[int, str]:
    """Run a script that calls ``armed()``; return its code (-9: killed) and what it said."""
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(at), script],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode in (0, -signal.SIGKILL), done.stderr
    return done.returncode, done.stdout


def calls(said: str) -> int:
    return int(said.split("calls ")[1])
