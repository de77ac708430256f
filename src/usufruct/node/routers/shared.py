"""What the routers share: parameters, documented errors, work in threads, bodies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import Header, Path, Query, Request
from pydantic import BaseModel, ValidationError

from usufruct.crypto.canonical import check_brackets
from usufruct.errors import BadInput
from usufruct.node import models
from usufruct.node.auth import Caller
from usufruct.node.connections import CONNECTION
from usufruct.node.state import NodeState
from usufruct.node.watch import NOTES

T = TypeVar("T")
M = TypeVar("M", bound=BaseModel)

_WHY = {
    400: "The request cannot be understood.",
    404: "There is no such thing here.",
    429: "Asked too often; `Retry-After` says when to come back.",
    503: "Something the node needs is away; `Retry-After` says when to come back.",
}
_SIGNED_WHY = {
    401: "Not signed, or not so that it holds here and now.",
    403: "The licence is not good for this, or the account is not served.",
    408: "The body did not arrive in time.",
    413: "The body is too large.",
    422: "A signature or a stored file does not hold.",
}


def _documented(why: dict[int, str]) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": models.Error, "description": text} for status, text in why.items()}


ERRORS = _documented(_WHY) | {"default": {"model": models.Error, "description": "Any other."}}
SIGNED_ERRORS = ERRORS | _documented(_SIGNED_WHY)

AssetPath = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64, description="Asset id.")
]
VersionPath = Annotated[int, Path(ge=1, lt=2**32, description="Version, from 1.", examples=[1])]
DigestPath = Annotated[
    str, Path(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64, description="SHA-256.")
]
LicenceQuery = Annotated[
    str, Query(pattern=r"^[0-9a-f]{64}$", min_length=64, max_length=64, description="Licence id.")
]


async def signed_headers(
    account: Annotated[
        str | None, Header(alias="Usufruct-Account", description="Who signed.")
    ] = None,
    nonce: Annotated[
        str | None, Header(alias="Usufruct-Nonce", description="32 random bytes, hexadecimal.")
    ] = None,
    deadline: Annotated[
        str | None, Header(alias="Usufruct-Deadline", description="Seconds since 1970.")
    ] = None,
    signature: Annotated[
        str | None, Header(alias="Usufruct-Signature", description="65 bytes, hexadecimal.")
    ] = None,
) -> None:
    """Put the headers of signed requests into the OpenAPI document; the gate reads them."""


async def admit(state: NodeState, request: Request) -> Caller:
    """Return who made a request, or refuse it."""
    caller = await state.gate.admit(request.scope, request.receive)
    notes = request.scope.get("state", {}).get(NOTES)
    if notes is not None:
        notes["account"] = caller.account
    return caller


async def work(state: NodeState, function: Callable[..., T], *given: Any, **named: Any) -> T:
    """Run what may wait for disk or ledger in a thread."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(state.workers, partial(function, *given, **named))


def read_model(kind: type[M], body: bytes) -> M:
    """Return a body as a model (BadInput)."""
    check_brackets(body, 8)
    try:
        return kind.model_validate_json(body, strict=True)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part)[:40] for part in fault["loc"])
        raise BadInput(f"{where or 'the body'}: {fault['msg'][:200]}") from None


def request_body(kind: type[BaseModel]) -> dict[str, Any]:
    """Return what OpenAPI says of a body that is read here and not by FastAPI."""
    schema = kind.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": _inlined(schema, definitions)}},
        }
    }


def connection_of(request: Request) -> Any:
    """Return the connection a request came over, None in tests without a server."""
    return request.scope.get("state", {}).get(CONNECTION)


def _inlined(value: Any, definitions: dict[str, Any]) -> Any:
    if isinstance(value, dict):
        if "$ref" in value:
            return _inlined(definitions[value["$ref"].rpartition("/")[2]], definitions)
        return {key: _inlined(item, definitions) for key, item in value.items()}
    if isinstance(value, list):
        return [_inlined(item, definitions) for item in value]
    return value
