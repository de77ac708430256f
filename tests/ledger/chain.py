"""What the ledger's tests share: a plain anvil, known keys, a transport that is scripted."""

import contextlib
import re
import subprocess
from collections.abc import Iterator
from typing import Any

from usufruct.crypto.identity import Identity
from usufruct.ledger.account import Account
from usufruct.ledger.binary import find_engine
from usufruct.ledger.client import Ledger
from usufruct.ledger.deploy import Deployment, deploy
from usufruct.ledger.network import Network
from usufruct.ledger.nonces import Draft
from usufruct.ledger.serve import LedgerServer, treasury_account
from usufruct.ledger.transport import HttpTransport, RpcError
from usufruct.types import parse_address

# anvil's public development keys
SECRETS = [
    bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    bytes.fromhex("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    bytes.fromhex("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    bytes.fromhex("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
]
ACCOUNTS = [Account(secret) for secret in SECRETS]


@contextlib.contextmanager
def plain_anvil(*flags: str) -> Iterator[str]:
    """Run anvil as a foreign network would; gives its URL."""
    command = [str(find_engine()), "--port", "0", "--hardfork", "cancun", *flags]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            found = re.search(r"Listening on (127\.0\.0\.1:\d+)", line)
            if found:
                break
        else:
            raise RuntimeError("anvil did not start")
        # nobody reads its log from here on, and a full pipe would stop it
        drain = subprocess.Popen(["cat"], stdin=process.stdout, stdout=subprocess.DEVNULL)
        try:
            yield f"http://{found[1]}"
        finally:
            process.kill()
            process.wait()
            drain.wait()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


class Scripted:
    """A transport whose answers the test writes: method -> value or function of the params."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.calls: list[tuple[str, list[Any]]] = []

    def request(self, method: str, params: list[Any]) -> Any:
        self.calls.append((method, params))
        answer = self.answers[method]
        if isinstance(answer, Exception):
            raise answer
        return answer(*params) if callable(answer) else answer

    def request_many(self, calls: list[tuple[str, list[Any]]]) -> list[Any]:
        return [self._one(method, params) for method, params in calls]

    def _one(self, method: str, params: list[Any]) -> Any:
        try:
            return self.request(method, params)
        except RpcError as error:
            return error

    def close(self) -> None:
        pass


OPERATOR = Identity("operator", b"\1" * 32)


def make_network(transport: Any, deployment: Deployment, **changes: Any) -> Network:
    """Describe the ledger behind `transport` as its operator would."""
    fields: dict[str, Any] = {
        "name": "test",
        "chain_id": int(transport.request("eth_chainId", []), 16),
        "rpc": (),
        "genesis_hash": transport.request("eth_getBlockByNumber", ["0x0", False])["hash"],
        "contracts": deployment.contracts,
        "finality": {"mode": "latest", "confirmations": 0},
        "operator": OPERATOR.public,
        "created": "2026-11-22T12:00:00Z",
        "start_block": deployment.start_block,
    }
    return Network(**(fields | changes))


def plain_ledger(url: str, **changes: Any) -> Ledger:
    """Deploy the contracts on a plain anvil and return its client."""
    transport = HttpTransport(url)
    return Ledger(
        transport, make_network(transport, deploy(transport, ACCOUNTS[0], 31337), **changes)
    )


def served(folder: Any, **options: Any) -> LedgerServer:
    """Return a server with an operator of its own; the tests enter it."""
    return LedgerServer(folder, operator=OPERATOR, **options)


def fund_by_treasury(ledger: Ledger, address: str) -> None:
    """Get gas money as a new party does, by URL or from the treasury's key in the process."""
    if isinstance(ledger.transport, HttpTransport):
        digest = ledger.transport.request("usufruct_fund", [address])
        assert ledger.receipt(digest).succeeded
    else:
        ledger.send(
            treasury_account(OPERATOR), [Draft(parse_address(address), b"", 10**18, 21_000)]
        )
