"""Grants as statements: read back byte for byte or refused."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.market.samples import ASSET, address, offer

from usufruct.crypto import canonical
from usufruct.errors import BadInput
from usufruct.evidence.statements import read_payload
from usufruct.ledger.bindings.offers import licence_id
from usufruct.market.statements import Grant, read_grant
from usufruct.types import Digest, OfferId

GRANT = Grant(
    licence=licence_id(offer().offer_id, 5),
    offer=offer().offer_id,
    terms=Digest("71" * 32),
    holder=address(4),
    asset=ASSET,
    version=2,
    content_root=Digest("c0" * 32),
    sealed=Digest("5e" * 32),
    created="2026-03-01T12:00:00Z",
    expires="2026-03-31T12:00:00Z",
)


def test_grants_read_back() -> None:
    for grant in (GRANT, replace(GRANT, terms=None), replace(GRANT, expires=None)):
        statement = read_payload(grant.payload())
        assert read_grant(statement) == grant
        assert statement.type == "https://usufruct.dev/grant/v1"
        assert statement.subjects[0].digest == GRANT.content_root


def test_in_toto_library_accepts_ours() -> None:
    judge = pytest.importorskip("in_toto_attestation.v1.statement")
    from google.protobuf import json_format

    message = judge.spb.Statement()
    json_format.Parse(GRANT.payload().decode(), message)
    judge.Statement.copy_from_pb(message).validate()


@pytest.mark.parametrize(
    "change",
    [
        {"offer": OfferId("00" * 24)}, {"offer": "00"}, {"licence": "x"}, {"terms": ""},
        {"holder": "0x1"}, {"asset": None}, {"version": 0}, {"version": "1"}, {"sealed": None},
        {"content_root": "C0" * 32}, {"created": "now"}, {"expires": "2026-03-01T12:00:00Z"},
        {"expires": "2020-01-01T00:00:00Z"}, {"expires": 5}, {"more": 1},
        {"content_root": "c1" * 32},
    ],
)  # fmt: skip
def test_hostile_grants(change: dict[str, Any]) -> None:
    document = canonical.loads(GRANT.payload())
    document["predicate"] |= change
    with pytest.raises(BadInput):
        read_grant(read_payload(canonical.dumps(document)))


def test_another_statement_or_subject() -> None:
    document = canonical.loads(GRANT.payload())
    for change in (
        {"predicateType": "https://usufruct.dev/round/v1"},
        {"subject": [{"name": "x", "digest": {"usufructContentRoot": "c0" * 32}}]},
        {"subject": document["subject"] * 2},
    ):
        with pytest.raises(BadInput):
            read_grant(read_payload(canonical.dumps(document | change)))
