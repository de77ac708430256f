"""The node's HTTP application: routers, errors in one shape, the OpenAPI document."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from usufruct._version import __version__
from usufruct.errors import BadInput, UsufructError
from usufruct.node.answers import Refusal, answer_of, method_or_path
from usufruct.node.routers import about, catalogue, delivery
from usufruct.node.state import NodeState
from usufruct.node.watch import Watch

_TEXT = """\
A party's node: what there is to license, its terms and evidence, and delivery to licence holders.

Requests marked *signed* carry four headers: `Usufruct-Account`, `Usufruct-Nonce` (32 random bytes),
`Usufruct-Deadline` (at most 300 seconds ahead) and `Usufruct-Signature`, an EIP-712 signature of
Request(string method,string path,bytes32 body,bytes32 nonce,uint64 deadline) in the domain
("Usufruct Node", "1", chain id, account of the node's operator); `path` is as sent with its query,
`body` is SHA-256 of the body. Every error has the same form.
"""


def create_app(state: NodeState) -> Any:
    """Return the ASGI application of a node."""
    app = FastAPI(
        title="Usufruct node",
        summary="Catalogue, terms and delivery of one party's assets.",
        description=_TEXT,
        version=__version__,
        docs_url=None,  # its pages load scripts of strangers
        redoc_url=None,
        redirect_slashes=False,
        license_info={"name": "Apache-2.0", "identifier": "Apache-2.0"},
    )
    for router in (about, catalogue, delivery):
        app.include_router(router.make(state))

    @app.exception_handler(Refusal)
    @app.exception_handler(UsufructError)
    async def refused(request: Request, error: Exception) -> JSONResponse:
        status, document, headers = answer_of(error)
        if status >= 500 and not isinstance(error, Refusal):
            state.log.fault(error)
        return JSONResponse(document, status, headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        return JSONResponse(BadInput(first_fault(error.errors())).as_dict(), 400)

    @app.exception_handler(HTTPException)
    async def unrouted(request: Request, error: HTTPException) -> JSONResponse:
        document, status = method_or_path(error.status_code)
        return JSONResponse(document, status, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        # it is raised again after this
        state.log.fault(error)
        status, document, headers = answer_of(error)
        return JSONResponse(document, status, headers)

    return Watch(app, state)


def first_fault(errors: Any) -> str:
    """Return the first thing that is wrong with a request, without what was given."""
    fault: Any = next(iter(errors), {})
    where = [str(part)[:40] for part in fault.get("loc", ()) if part not in ("body", "query")]
    return f"{'.'.join(where) or 'the request'}: {str(fault.get('msg', 'malformed'))[:200]}"
