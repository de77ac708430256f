"""The client of a node: every endpoint a method, every answer bounded and read strictly."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self
from urllib.parse import urlencode

from usufruct.assets.sealing import SealedAsset
from usufruct.clock import Clock, system_clock
from usufruct.crypto import canonical
from usufruct.errors import BadInput, UsageError, VerificationError
from usufruct.evidence.bundle import MAX_BUNDLE
from usufruct.peer import requests
from usufruct.peer.answers import (
    Granted,
    NodeInfo,
    error_of,
    read_grant,
    read_json,
    read_node,
)
from usufruct.peer.connection import Answer, Connection, ConnectionAgain, nonsense
from usufruct.peer.directory import read_url
from usufruct.peer.lists import check_list, check_name
from usufruct.types import Address, AssetId, LicenceId, parse_digest, parse_licence_id
from usufruct.units import MIB

if TYPE_CHECKING:
    from usufruct.ledger.account import Account

TIMEOUT: Final = 30.0
MAX_JSON: Final = 8 * MIB
MAX_SEALED: Final = 512 * MIB
"""Largest list of sealed objects read: 45 bytes a MiB of data, about 150 an object."""

MAX_TERMS: Final = MIB

_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18})\Z")


class NodeClient:
    """Talks to one node; not for several threads at once.

    Parameters
    ----------
    url
        The node's, http or https; nothing is ever asked of another host.
    account
        Who signs requests; only what everybody may read can be asked without.
    chain_id, node
        The ledger, and the account of who operates the node. What is signed is good there only;
        :meth:`about` refuses others.
    timeout
        Seconds that connecting, a silence, or a short answer may take.

    Raises
    ------
    BadInput
        The URL cannot be a node's.
    """

    def __init__(
        self,
        url: str,
        *,
        account: Account | None = None,
        chain_id: int | None = None,
        node: Address | None = None,
        timeout: float = TIMEOUT,
        clock: Clock = system_clock,
    ) -> None:
        self.endpoint = read_url(url)
        self._account = account
        self._chain_id = chain_id
        self._node = node
        self._clock = clock
        self._connection = Connection(self.endpoint, timeout=timeout)

    def __repr__(self) -> str:
        return f"NodeClient({self.endpoint.url!r})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def health(self) -> Mapping[str, Any]:
        """Return what the node says of its health."""
        return self._object("/health")

    def metrics(self) -> str:
        """Return the node's figures as Prometheus reads them."""
        return _text(self._get("/metrics", MAX_JSON))

    def about(self) -> NodeInfo:
        """Return who operates the node and which ledger it reads.

        Raises
        ------
        VerificationError
            Another party's than was expected, or its keys are not bound to its account.
        WrongNetwork
            It reads another ledger than was expected.
        Unavailable
            Here and in every method: no answer, or none that can be used.
        """
        value = self._object("/node")
        with self._reading():
            return read_node(value, chain_id=self._chain_id, node=self._node)

    def assets(
        self,
        *,
        q: str | None = None,
        kind: str | None = None,
        use: str | None = None,
        owner: str | None = None,
        limit: int | None = None,
        after: str | None = None,
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Return a page of cards, and what to give as `after` for the next one (None: the last)."""
        asked = {"q": q, "kind": kind, "use": use, "owner": owner, "limit": limit, "after": after}
        query = urlencode({name: value for name, value in asked.items() if value is not None})
        value = self._object("/assets" + (f"?{query}" if query else ""))
        cards, following = value.get("assets"), value.get("next")
        if not isinstance(cards, list) or not all(isinstance(card, dict) for card in cards):
            raise nonsense(self.endpoint, "its assets are no list of cards")
        if following is not None and (not isinstance(following, str) or len(following) > 1000):
            raise nonsense(self.endpoint, "it names no next page")
        return cards, following

    def asset(self, asset: AssetId) -> dict[str, Any]:
        """Return the card of an asset (NotFound)."""
        return self._object(f"/assets/{parse_digest(asset)}")

    def terms(self, asset: AssetId, digest: str) -> str:
        """Return the terms with this SHA-256.

        Raises
        ------
        VerificationError
            The node gives another text.
        """
        wanted = parse_digest(digest)
        data = self._get(f"/assets/{parse_digest(asset)}/terms/{wanted}", MAX_TERMS)
        if hashlib.sha256(data).hexdigest() != wanted:
            raise VerificationError(
                f"the node at {self.endpoint.url} gives other terms than the offer names",
                hint="do not buy under terms that nobody can read",
            )
        return _text(data)

    def evidence(self, asset: AssetId, number: int) -> bytes:
        """Return the bundle of a version; nothing in it is verified yet."""
        return self._get(f"{_version(asset, number)}/evidence", MAX_BUNDLE)

    def sealed(self, asset: AssetId, number: int, *, licence: LicenceId) -> SealedAsset:
        """Return the ciphertext digests of a version, checked to make sense."""
        path = f"{_version(asset, number)}/sealed?licence={parse_licence_id(licence)}"
        data = self._get(path, MAX_SEALED, signed=True)
        with self._reading():
            sealed = SealedAsset.from_bytes(data)
            check_list(sealed)
        return sealed

    def grant(
        self,
        asset: AssetId,
        number: int,
        *,
        licence: LicenceId,
        encryption_key: bytes,
        use: tuple[int, bytes] | None = None,
        acknowledgement: bytes | None = None,
    ) -> Granted:
        """Return the keys of a version, as they came.

        Parameters
        ----------
        use
            Of a licence that is counted: the total after this use, and its signature.
        acknowledgement
            The signature that settles a licence in its refund window.
        """
        body: dict[str, Any] = _grant_body(licence, encryption_key)
        if use is not None:
            body["use"] = {"total": use[0], "signature": use[1].hex()}
        if acknowledgement is not None:
            body["acknowledgement"] = {"signature": acknowledgement.hex()}
        value = self._post(f"{_version(asset, number)}/grant", body)
        with self._reading():
            return read_grant(value)

    def probe(
        self, asset: AssetId, number: int, *, licence: LicenceId, encryption_key: bytes
    ) -> bytes:
        """Return the probe as it came; `assets.delivery.probe_seed` says of which chunk it is."""
        body = _grant_body(licence, encryption_key)
        value = self._post(f"{_version(asset, number)}/probe", body)
        with self._reading():
            message: Any = value.get("grant")
            return canonical.unb64(message)

    @contextlib.contextmanager
    def sealed_bytes(
        self,
        asset: AssetId,
        number: int,
        object_id: str,
        *,
        licence: LicenceId,
        start: int,
        stop: int,
        size: int,
    ) -> Iterator[Answer]:
        """Give bytes `start` to `stop` (exclusive) of a sealed object, to be read in the block.

        Parameters
        ----------
        size
            Bytes of the whole object.

        Raises
        ------
        VerificationError
            The node has another number of bytes.
        """
        if not 0 <= start < stop <= size:
            raise BadInput("a range lies within its object")
        path = f"{_version(asset, number)}/objects/{check_name(object_id)}"
        path += f"?licence={parse_licence_id(licence)}"
        headers = {"Range": f"bytes={start}-{stop - 1}"}
        with self._ask("GET", path, signed=True, headers=headers) as answer:
            if answer.status == 416:
                raise VerificationError(f"it has fewer than {stop} bytes")
            whole = answer.status == 200 and (start, stop) == (0, size)
            if answer.status != 206 and not whole:
                self._refuse(answer)
            found = _RANGE.match(answer.header("Content-Range"))
            if not whole and (
                found is None or tuple(map(int, found.groups())) != (start, stop - 1, size)
            ):
                raise VerificationError(f"it is not an object of {size} bytes")
            if answer.length != stop - start:
                raise VerificationError(f"it comes as {answer.length} bytes, not {stop - start}")
            if answer.header("Content-Encoding") not in ("", "identity"):
                raise VerificationError("it comes packed, which was not asked for")
            yield answer

    @contextlib.contextmanager
    def _ask(
        self,
        method: str,
        path: str,
        *,
        signed: bool = False,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Iterator[Answer]:
        sent = {"Accept": "*/*", **(headers or {})}
        if body:
            sent["Content-Type"] = "application/json"
        with contextlib.ExitStack() as stack:
            try:
                sent |= self._signed(method, path, body) if signed else {}
                answer = stack.enter_context(self._connection.ask(method, path, sent, body))
            except ConnectionAgain:
                # signed anew: nobody knows whether the first one was seen
                sent |= self._signed(method, path, body) if signed else {}
                answer = stack.enter_context(self._connection.ask(method, path, sent, body))
            yield answer

    def _signed(self, method: str, path: str, body: bytes) -> dict[str, str]:
        if self._account is None or self._chain_id is None or self._node is None:
            raise BadInput("this is signed, and takes an account, the chain and the node's party")
        whom: Any = {"chain_id": self._chain_id, "node": self._node, "method": method}
        whom |= {"path": path, "body": body}
        return requests.sign_request(self._account, **whom, now=self._clock())

    def _get(self, path: str, limit: int, *, signed: bool = False) -> bytes:
        with self._ask("GET", path, signed=signed) as answer:
            if answer.status != 200:
                self._refuse(answer)
            return answer.read(limit)

    def _object(self, path: str) -> dict[str, Any]:
        return self._json(self._get(path, MAX_JSON))

    def _post(self, path: str, value: Mapping[str, Any]) -> dict[str, Any]:
        body = json.dumps(value).encode("ascii")
        # a kept connection may be dead, and a grant is better not asked for twice
        self._connection.close()
        with self._ask("POST", path, signed=True, body=body) as answer:
            if answer.status != 200:
                self._refuse(answer)
            return self._json(answer.read(MAX_JSON))

    def _json(self, data: bytes) -> dict[str, Any]:
        with self._reading():
            value = read_json(data)
            if not isinstance(value, dict):
                raise BadInput("it is no JSON object")
            return value

    def _refuse(self, answer: Answer) -> None:
        """Raise what the node answered instead of what it was asked for."""
        where = self.endpoint.url
        if 300 <= answer.status < 400:
            raise nonsense(self.endpoint, "it points elsewhere, and that is not followed")
        if answer.status < 400:
            raise nonsense(self.endpoint, f"HTTP status {answer.status}")
        raise error_of(where, answer.status, answer.read(MAX_JSON), answer.header("Retry-After"))

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn what is malformed in an answer into an answer that cannot be used."""
        try:
            yield
        except UsageError as error:
            raise nonsense(self.endpoint, error.message) from None


def _version(asset: AssetId, number: int) -> str:
    if type(number) is not int or not 0 < number < 2**32:
        raise BadInput(f"there is no version {number}")
    return f"/assets/{parse_digest(asset)}/versions/{number}"


def _grant_body(licence: LicenceId, encryption_key: bytes) -> dict[str, Any]:
    if len(encryption_key) != 32:
        raise BadInput("an encryption key has 32 bytes")
    return {"licence": parse_licence_id(licence), "encryption_key": encryption_key.hex()}


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")
