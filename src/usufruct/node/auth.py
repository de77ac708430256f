"""Who asks: signed requests, each good once, at this node, on this chain, until its deadline.

In order: the address may ask so often; the body is read up to a limit; the signature is checked
over method, path, query and body as they came in; the account is not denied and may ask so often;
and the nonce is new, which is kept durably before anything else is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from usufruct.clock import Clock, system_clock
from usufruct.errors import BadInput, NotAllowed, Unavailable, UsufructError
from usufruct.node.answers import Refusal
from usufruct.node.denylist import DenyList
from usufruct.node.limits import Limits, peer_key
from usufruct.node.memory import Memory
from usufruct.node.rates import Rates
from usufruct.peer.requests import check_request, read_request, request_digest
from usufruct.types import Address

_CHALLENGE = {"www-authenticate": "Usufruct"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who made a request.

    Parameters
    ----------
    account
        Whose signature it carries.
    digest
        What was signed, 32 bytes; no other request has it.
    body
        The request's body, whole.
    """

    account: Address
    digest: bytes
    body: bytes


class Gate:
    """Lets signed requests in.

    Parameters
    ----------
    chain_id, node
        The ledger and the operator's account: a request to another node is none to this one.
    workers
        Threads for what waits on the disk.
    refused
        Told the reason, a word, of each refusal.
    """

    def __init__(
        self,
        chain_id: int,
        node: Address,
        memory: Memory,
        deny: DenyList,
        *,
        workers: Executor,
        limits: Limits | None = None,
        clock: Clock = system_clock,
        refused: Callable[[str], None] = lambda reason: None,
    ) -> None:
        self._chain_id = chain_id
        self._node = node
        self._memory = memory
        self._deny = deny
        self._workers = workers
        self._limits = limits or Limits()
        self._clock = clock
        self._refused = refused
        self._addresses = Rates(self._limits.rate, self._limits.burst)
        self._accounts = Rates(self._limits.account_rate, self._limits.account_burst)

    def check_address(self, scope: Any) -> str:
        """Count a request of an address, signed or not, and return what stands for it.

        Raises
        ------
        Refusal
            It asks too often (429).
        """
        peer = peer_key(_address(scope, self._limits.proxied))
        wait = self._addresses.take(peer)
        if wait:
            self._refused("address_rate")
            raise Refusal(
                NotAllowed("this address asks too often", hint="wait as Retry-After says"),
                429,
                wait=wait,
            )
        return peer

    async def admit(self, scope: Any, receive: Callable[[], Any]) -> Caller:
        """Return who made a request, or refuse it.

        Raises
        ------
        Refusal
            Not signed, or not so that it holds here and now (401); denied (403); too large (413),
            too slow (408), too often (429).
        """
        headers = _headers(scope)
        body = await read_body(scope, receive, self._limits)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._workers, self._check, scope, headers, body)

    def _check(self, scope: Any, headers: dict[str, str], body: bytes) -> Caller:
        now = self._clock()
        try:
            signed = read_request(headers)
            path = signed_path(scope)
            about = {
                "chain_id": self._chain_id,
                "node": self._node,
                "method": scope["method"],
                "path": path,
                "body": body,
            }
            account = check_request(signed, now=now, **about)
            digest = request_digest(nonce=signed.nonce, deadline=signed.deadline, **about)
        except (BadInput, NotAllowed) as error:
            unsigned = NotAllowed(error.message, hint=error.hint)
            raise self._refuse(unsigned, 401, "signature") from None
        if account in self._deny:
            denied = NotAllowed("this node does not serve this account")
            raise self._refuse(denied, 403, "denied")
        wait = self._accounts.take(account)
        if wait:
            often = NotAllowed("this account asks too often", hint="wait as Retry-After says")
            raise self._refuse(often, 429, "account_rate", wait=wait)
        try:
            new = self._memory.use_nonce(account, signed.nonce, signed.deadline, now)
        except Unavailable as error:
            raise self._refuse(error, 503, "nonces", wait=60) from None
        if not new:
            replayed = NotAllowed(
                "this request was made before", hint="sign each request with a nonce of its own"
            )
            raise self._refuse(replayed, 401, "replay")
        return Caller(account, digest, body)

    def _refuse(
        self, error: UsufructError, status: int, reason: str, *, wait: float | None = None
    ) -> Refusal:
        self._refused(reason)
        headers = _CHALLENGE if status == 401 else None
        return Refusal(error, status, wait=wait, headers=headers)


async def read_body(scope: Any, receive: Callable[[], Any], limits: Limits) -> bytes:
    """Return the whole body of a request.

    Raises
    ------
    Refusal
        It is larger than the limit (413), or does not arrive in time (408).
    """
    said = _headers(scope).get("content-length", "")
    if said.isdigit() and (len(said) > 18 or int(said) > limits.body_bytes):
        raise _too_large(limits)
    try:
        return await asyncio.wait_for(_read(receive, limits), limits.body_seconds)
    except TimeoutError:
        late = Unavailable("the request's body did not arrive in time")
        raise Refusal(late, 408, headers={"connection": "close"}) from None


async def _read(receive: Callable[[], Any], limits: Limits) -> bytes:
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            raise Refusal(BadInput("the request was cut short"), 400)
        body += event.get("body", b"")
        if len(body) > limits.body_bytes:
            raise _too_large(limits)
        if not event.get("more_body"):
            return bytes(body)


def signed_path(scope: Any) -> str:
    """Return a request's path and query as they were sent (BadInput: not ASCII)."""
    query = scope["query_string"]
    try:
        return bytes(scope["raw_path"] + (b"?" + query if query else b"")).decode("ascii")
    except UnicodeDecodeError:
        raise BadInput("a path is ASCII") from None


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        BadInput(f"a request's body has at most {limits.body_bytes} bytes"),
        413,
        headers={"connection": "close"},
    )


def _headers(scope: Any) -> dict[str, str]:
    """Return the headers by lower-case name; one that comes twice is none."""
    found: dict[str, str] = {}
    twice = set()
    for name, value in scope["headers"]:
        key = name.decode("latin-1").lower()
        if key in found:
            twice.add(key)
        found[key] = value.decode("latin-1")
    return {key: value for key, value in found.items() if key not in twice}


def _address(scope: Any, proxied: bool) -> str:
    client = scope.get("client")
    address = client[0] if client else "?"
    if proxied:
        # the last entry is the proxy's own; those before it are what callers said
        lines = [value for name, value in scope["headers"] if name == b"x-forwarded-for"]
        if lines:
            last = lines[-1].decode("latin-1").rpartition(",")[2].strip()
            return str(last or address)
    return str(address)
