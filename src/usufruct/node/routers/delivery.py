"""What licence holders get: sealed bytes by ranges, and keys."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Path, Request, Response

from usufruct.crypto import canonical
from usufruct.errors import BadInput
from usufruct.node import models
from usufruct.node.answers import Refusal
from usufruct.node.ranges import Unsatisfiable, wanted
from usufruct.node.routers.shared import (
    SIGNED_ERRORS,
    AssetPath,
    LicenceQuery,
    VersionPath,
    admit,
    read_model,
    request_body,
    signed_headers,
    work,
)
from usufruct.node.state import NodeState
from usufruct.node.streaming import Streamed, open_file
from usufruct.types import AssetId, LicenceId

_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_PRIVATE = {"cache-control": "private, no-store"}
ObjectPath = Annotated[
    str, Path(pattern=r"^[a-z0-9][a-z0-9._-]{0,127}$", max_length=128, description="Sealed object.")
]


def make(state: NodeState) -> APIRouter:
    """Return the router."""
    router = APIRouter(
        tags=["delivery"], responses=SIGNED_ERRORS, dependencies=[Depends(signed_headers)]
    )

    @router.get(
        "/assets/{asset}/versions/{number}/sealed",
        summary="Digests of all sealed chunks (signed)",
        response_class=Response,
        responses={200: {"content": _BYTES}},
    )
    async def sealed(
        request: Request, asset: AssetPath, number: VersionPath, licence: LicenceQuery
    ) -> Response:
        caller = await admit(state, request)
        data = await work(
            state, state.desk.sealed, caller, AssetId(asset), number, LicenceId(licence)
        )
        return Response(data, media_type="application/octet-stream", headers=_PRIVATE)

    @router.get(
        "/assets/{asset}/versions/{number}/objects/{object_id}",
        summary="A sealed object, whole or one range of it (signed)",
        response_class=Response,
        responses={
            200: {"content": _BYTES},
            206: {"content": _BYTES, "description": "The range that was asked for."},
            416: {"model": models.Error, "description": "No such range, or more than one."},
        },
    )
    async def sealed_object(
        request: Request,
        asset: AssetPath,
        number: VersionPath,
        object_id: ObjectPath,
        licence: LicenceQuery,
        range_: Annotated[str | None, Header(alias="Range")] = None,
        if_range: Annotated[str | None, Header(alias="If-Range")] = None,
    ) -> Any:
        caller = await admit(state, request)
        about = (caller, AssetId(asset), number, object_id, LicenceId(licence))
        file = await work(state, lambda: open_file(state.desk.object_path(*about)))
        try:
            try:
                part = wanted(range_, if_range, size=file.size, etag=file.etag)
            except Unsatisfiable:
                raise Refusal(
                    BadInput(f"an object of {file.size} bytes has no such single range"),
                    416,
                    headers={"content-range": f"bytes */{file.size}"},
                ) from None
            headers = _PRIVATE | {
                "accept-ranges": "bytes",
                "content-type": "application/octet-stream",
                "etag": file.etag,
            }
            start, stop = (0, file.size) if part is None else (part.start, part.stop)
            if part is not None:
                headers["content-range"] = f"bytes {start}-{stop - 1}/{file.size}"
            slot = state.slots.take(caller.account)
        except BaseException:
            file.close()
            raise
        return Streamed(
            file,
            start,
            stop,
            status=200 if part is None else 206,
            headers=headers,
            readers=state.readers,
            stall=state.limits.stall_seconds,
            slot=slot,
            sent=state.metrics.bytes.inc,
        )

    @router.post(
        "/assets/{asset}/versions/{number}/grant",
        summary="The keys of a version (signed)",
        openapi_extra=request_body(models.GrantRequest),
    )
    async def grant(request: Request, asset: AssetPath, number: VersionPath) -> models.Grant:
        caller = await admit(state, request)
        asked = read_model(models.GrantRequest, caller.body)
        use, said = asked.use, asked.acknowledgement
        keys, envelope = await work(
            state,
            state.desk.grant,
            caller,
            AssetId(asset),
            number,
            licence=LicenceId(asked.licence),
            encryption_key=bytes.fromhex(asked.encryption_key),
            use=None if use is None else (use.total, bytes.fromhex(use.signature)),
            acknowledgement=None if said is None else bytes.fromhex(said.signature),
        )
        state.metrics.granted.inc()
        return models.Grant(grant=canonical.b64(keys), statement=envelope.to_dict())

    @router.post(
        "/assets/{asset}/versions/{number}/probe",
        summary="The key of one chunk, to try before the price is paid out (signed)",
        openapi_extra=request_body(models.ProbeRequest),
    )
    async def probe(request: Request, asset: AssetPath, number: VersionPath) -> models.Probe:
        caller = await admit(state, request)
        asked = read_model(models.ProbeRequest, caller.body)
        key = await work(
            state,
            state.desk.probe,
            caller,
            AssetId(asset),
            number,
            licence=LicenceId(asked.licence),
            encryption_key=bytes.fromhex(asked.encryption_key),
        )
        return models.Probe(grant=canonical.b64(key))

    return router
