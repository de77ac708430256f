"""Runs anvil as a child that nobody else can drive and that does not outlive its parent.

The child is spoken to over a Unix socket in a private folder. anvil always listens on TCP too;
on Linux, where the kernel allows it, the child gets a network namespace of its own, so that
port is out of everybody's reach. Elsewhere it is a port of the kernel's choice on loopback.

A small Python program stands between: it asks Linux to kill the child with its parent
(PR_SET_PDEATHSIG), and on other systems stays and kills anvil when the pipe from us closes.
Linux watches the *thread* that starts the child, so that thread must live as long as the child.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from usufruct.errors import EngineDied
from usufruct.ledger.transport import MAX_RESPONSE, Call, RpcError

_START_SECONDS = 30.0
_ANSWER_SECONDS = 120.0
_SOCKET_PATH_LIMIT = 100  # sun_path holds 108 bytes on Linux and 104 on macOS
_RECEIVE = 1 << 20

_SHIM_LINUX = """
import ctypes, fcntl, os, signal, socket, struct, sys
parent, isolate, program = int(sys.argv[1]), sys.argv[2] == "1", sys.argv[3:]
libc = ctypes.CDLL(None, use_errno=True)
if isolate:
    # CLONE_NEWUSER | CLONE_NEWNET, then bring the namespace's own loopback up
    if libc.unshare(0x10000000 | 0x40000000):
        os._exit(77)
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
            fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 1))
    except OSError:
        os._exit(77)
# after unshare, because gaining capabilities clears the parent-death signal
if libc.prctl(1, signal.SIGKILL, 0, 0, 0) or os.getppid() != parent:
    os._exit(78)
os.execv(program[0], program)
"""

_SHIM_OTHER = """
import os, subprocess, sys, threading
program = sys.argv[3:]
child = subprocess.Popen(program, stdin=subprocess.DEVNULL)
def watch():
    while os.read(0, 1):
        pass
    child.kill()
threading.Thread(target=watch, daemon=True).start()
os._exit(child.wait() & 127)
"""


class Supervisor:
    """One running anvil.

    Parameters
    ----------
    binary
        The engine.
    folder
        Emptied and used for the child's home, working folder and socket.
    genesis
        What its first block is made from.
    isolate
        Try to give it a network namespace of its own (Linux only).
    watchdog
        Use the pipe instead of PR_SET_PDEATHSIG, as on systems other than Linux.

    Raises
    ------
    EngineDied
        It does not start.
    """

    def __init__(
        self,
        binary: Path,
        folder: Path,
        genesis: dict[str, Any],
        *,
        isolate: bool = True,
        watchdog: bool = not sys.platform.startswith("linux"),
    ) -> None:
        self._binary = binary
        self._folder = folder
        self._genesis = genesis
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        self._short: tempfile.TemporaryDirectory[str] | None = None
        self._socket = self._prepare()
        self.isolated = False
        self._process: subprocess.Popen[bytes] | None = None
        ways = [True, False] if isolate and not watchdog else [False]
        try:
            for self.isolated in ways:
                if self._start(self.isolated, watchdog):
                    return
            raise self.died("does not start")
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The child's process id; EngineDied if it was stopped, for 0 means quite another thing."""
        process = self._process
        if process is None:
            raise EngineDied("the EVM engine does not run", hint="try again")
        return process.pid

    @property
    def alive(self) -> bool:
        """Whether the child runs."""
        return self._process is not None and self._process.poll() is None

    def request(self, method: str, params: list[Any]) -> Any:
        """Return one result.

        Raises
        ------
        RpcError
            The engine refused.
        EngineDied
            It did not answer.
        """
        message = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        result = _result(self._exchange(message))
        if isinstance(result, RpcError):
            raise result
        return result

    def request_many(self, calls: Sequence[Call]) -> list[Any]:
        """Return one result or :class:`RpcError` a call; the engine takes them in order.

        Raises
        ------
        EngineDied
            It did not answer.
        """
        if not calls:
            return []
        answers = self._exchange(
            [
                {"jsonrpc": "2.0", "id": number, "method": method, "params": params}
                for number, (method, params) in enumerate(calls)
            ]
        )
        if not isinstance(answers, list) or len(answers) != len(calls):
            raise self.died("answered a batch in part")
        by_number = {answer.get("id"): answer for answer in answers if isinstance(answer, dict)}
        if by_number.keys() != set(range(len(calls))):
            raise self.died("answered a batch with other numbers")
        return [_result(by_number[number]) for number in range(len(calls))]

    def stop(self) -> None:
        """Kill the child and remove its folder; may be called twice."""
        self._kill()
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        if self._short is not None:
            self._short.cleanup()
            self._short = None

    def died(self, what: str) -> EngineDied:
        """Return the error that says how the engine failed, with its last words."""
        words = ""
        with contextlib.suppress(OSError):
            lines = (self._folder / "stderr").read_bytes()[-2000:].decode("utf-8", "replace")
            words = " ".join(lines.split())[:300]
        return EngineDied(
            f"the EVM engine {what}" + (f": {words}" if words else ""),
            hint="nothing acknowledged is lost; try again, and see 'usufruct setup'",
        )

    def _prepare(self) -> Path:
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            self._folder.mkdir(mode=0o700, parents=True)
            (self._folder / "genesis.json").write_text(json.dumps(self._genesis), encoding="utf-8")
        except OSError as error:
            raise EngineDied(f"the EVM engine cannot start: {error}") from error
        path = self._folder.absolute() / "ipc"
        if len(os.fsencode(path)) <= _SOCKET_PATH_LIMIT:
            return path
        self._short = tempfile.TemporaryDirectory(prefix="usufruct-")
        return Path(self._short.name) / "ipc"

    def _start(self, isolated: bool, watchdog: bool) -> bool:
        shim = _SHIM_OTHER if watchdog else _SHIM_LINUX
        launcher = [sys.executable, "-I", "-S", "-c", shim, str(os.getpid()), str(int(isolated))]
        home = str(self._folder.absolute())
        kept = {"LD_LIBRARY_PATH", "SYSTEMROOT"} & os.environ.keys()
        environment = {name: os.environ[name] for name in kept}
        environment |= {"HOME": home, "TMPDIR": home, "XDG_CONFIG_HOME": home}
        try:
            # anvil prints keys and a mnemonic on stdout, even ones it does not use
            with (self._folder / "stderr").open("wb") as stderr:
                self._process = subprocess.Popen(
                    launcher + self._command(),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=stderr,
                    cwd=home,
                    env=environment,
                    start_new_session=True,  # Ctrl-C is ours to handle, not the engine's
                )
        except OSError as error:
            raise EngineDied(f"the EVM engine cannot start: {error}") from error
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not self.alive:
                self._kill()
                return False
            with contextlib.suppress(EngineDied, OSError):
                if self._socket.exists():
                    self.request("web3_clientVersion", [])
                    return True
            time.sleep(0.005)
        self._kill()
        return False

    def _command(self) -> list[str]:
        genesis = self._genesis
        quantities = {
            "--chain-id": genesis["config"]["chainId"],
            "--gas-limit": int(genesis["gasLimit"], 16),
            "--base-fee": int(genesis["baseFeePerGas"], 16),
            "--timestamp": int(genesis["timestamp"], 16),
        }
        command = [str(self._binary.absolute()), "--quiet", "--no-mining", "--order", "fifo"]
        command += ["--prune-history", "--accounts", "0", "--init", "genesis.json"]
        command += ["--hardfork", "cancun", "--disable-default-create2-deployer", "--no-cors"]
        command += ["--no-request-size-limit", "--host", "127.0.0.1", "--port", "0"]
        command += ["--ipc", str(self._socket)]
        for flag, value in quantities.items():
            command += [flag, str(value)]
        return command

    def _kill(self) -> None:
        process = self._process
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        if process.stdin:
            with contextlib.suppress(OSError):
                process.stdin.close()
        process.wait()
        self._process = None

    def _exchange(self, message: Any) -> Any:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        try:
            connection = connection or _Connection(self._socket)
            answer = connection.exchange(json.dumps(message).encode("ascii") + b"\n")
        except (OSError, EOFError, ValueError, RecursionError) as error:
            if connection:
                connection.close()
            raise self.died(f"did not answer ({type(error).__name__})") from error
        except BaseException:  # Ctrl-C: an answer under way must not reach the next caller
            if connection:
                connection.close()
            raise
        with self._lock:
            self._idle.append(connection)
        return answer


class _Connection:
    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.settimeout(_ANSWER_SECONDS)
            self._socket.connect(str(path))
        except BaseException:
            self._socket.close()
            raise

    def close(self) -> None:
        self._socket.close()

    def exchange(self, line: bytes) -> Any:
        """Send one line and return the parsed line that answers it."""
        self._socket.sendall(line)
        pieces, size = [], 0
        while True:
            piece = self._socket.recv(_RECEIVE)
            if not piece:
                raise EOFError
            pieces.append(piece)
            size += len(piece)
            if piece.endswith(b"\n"):
                return json.loads(b"".join(pieces))
            if size > MAX_RESPONSE:
                raise RpcError(-32005, "the answer is too large; ask for less")


def _result(answer: Any) -> Any:
    """Return the result in a JSON-RPC answer, or the error as an object."""
    error = answer.get("error") if isinstance(answer, dict) else {"message": "no answer"}
    if error is None:
        return answer.get("result")
    code = error.get("code")
    return RpcError(
        code if isinstance(code, int) else -32603, str(error.get("message")), error.get("data")
    )
