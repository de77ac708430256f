"""The OpenAPI document is complete, and nothing that fits it, or does not, breaks the node."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from tests.node.stub import ASSET, OBJECT, Node, grant_body, node, offer

import usufruct.errors as errors
from usufruct.node.answers import answer_of, status_of
from usufruct.node.limits import Limits


@pytest.fixture(scope="module")
def open_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    limits = Limits(rate=1e6, burst=10**6)
    with node(tmp_path_factory.mktemp("openapi") / "node", limits=limits) as made:
        yield made


def test_everything_is_documented(open_node: Node) -> None:
    document = open_node.ask("GET", "/openapi.json").json
    assert document["openapi"].startswith("3.1")
    assert document["info"]["title"] == "Usufruct node"
    base = "/assets/{asset}"
    assert set(document["paths"]) == {
        *("/node", "/health", "/metrics", "/assets", base, base + "/terms/{digest}"),
        *(f"{base}/versions/{{number}}/{what}" for what in ("evidence", "sealed", "grant")),
        *(f"{base}/versions/{{number}}/{what}" for what in ("probe", "objects/{object_id}")),
    }
    for path, methods in document["paths"].items():
        for operation in methods.values():
            assert operation["summary"], path
            assert {"200", "400", "404", "default"} <= set(operation["responses"]), path
            if path.endswith(("sealed", "grant", "probe", "{object_id}")):
                assert {"401", "403", "413", "429"} <= set(operation["responses"])
                names = {one["name"] for one in operation["parameters"]}
                assert {"Usufruct-Account", "Usufruct-Signature"} <= names
    error = document["components"]["schemas"]["Error"]
    assert set(error["required"]) == {"error", "message"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_no_request_breaks_the_node(open_node: Node) -> None:
    import schemathesis
    from schemathesis.checks import not_a_server_error
    from schemathesis.specs.openapi.checks import (
        content_type_conformance,
        response_schema_conformance,
        status_code_conformance,
    )

    assert open_node.server is not None
    licence = open_node.index.sell(offer())
    url = open_node.server.url
    schema: Any = schemathesis.openapi.from_url(f"{url}/openapi.json")
    checks = [
        *(not_a_server_error, status_code_conformance),
        *(content_type_conformance, response_schema_conformance),
    ]
    for found in schema.get_all_operations():
        operation = found.ok()

        @settings(
            max_examples=20,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @schemathesis_given(operation)
        def tried(case: Any) -> None:
            case.call_and_validate(base_url=url, checks=checks)
            # a caller that signs gets further
            known = {"asset": ASSET, "object_id": OBJECT, "number": 1}
            case.path_parameters = {
                name: known.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
            if "licence" in (case.query or {}):
                case.query["licence"] = licence
            sign(open_node, case, url)
            case.call_and_validate(base_url=url, checks=checks)

        tried()
    body = grant_body(licence)
    assert open_node.signed("POST", f"/assets/{ASSET}/versions/1/grant", body).status == 200


def schemathesis_given(operation: Any) -> Any:
    from hypothesis import given

    return given(operation.as_strategy())


def sign(running: Node, case: Any, url: str) -> None:
    import requests

    request = requests.Request(**case.as_transport_kwargs(base_url=url)).prepare()
    body = request.body or b""
    if isinstance(body, str):
        body = body.encode()
    path = request.path_url
    if isinstance(body, bytes) and path.isascii():
        headers = running.sign(str(request.method), path, body)
        case.headers = {**(case.headers or {}), **headers}


def test_every_error_has_a_status() -> None:
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.UsufructError)
    ]
    for kind in kinds:
        error = kind("a", "b") if kind is errors.MissingExtra else kind("/a/path")
        status, document, _ = answer_of(error)
        assert status == status_of(error)
        assert {"error", "message", "hint"} <= set(document)
        if status >= 500:
            assert "/a/path" not in str(document)
    expected = {
        errors.BadInput: 400,
        errors.NotAllowed: 403,
        errors.NotFound: 404,
        errors.AlreadyExists: 409,
        errors.VerificationError: 422,
        errors.Damaged: 500,
        errors.LedgerUnreachable: 503,
        errors.HomeBusy: 503,
    }
    for kind, status in expected.items():
        assert status_of(kind("x")) == status
