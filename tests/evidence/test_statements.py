"""Statements: strict reading, and the in-toto project's own library as a judge."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.evidence.factory import WHEN, Story, digest

from usufruct.crypto import canonical, dsse
from usufruct.errors import BadInput
from usufruct.evidence.predicates import Version
from usufruct.evidence.reading import needed_by, read_predicate
from usufruct.evidence.statements import (
    PAYLOAD_TYPE,
    Subject,
    make_statement,
    read_payload,
    read_statement,
    sign_statement,
)
from usufruct.evidence.work import commit_value


def payloads(story: Story) -> list[bytes]:
    found = []
    for home in (story.hospital, story.builder):
        for entry in home.log.entries():
            found.append(dsse.Envelope.from_bytes(entry.envelope or b"").payload)
    return found


def test_every_statement_reads_back(anchored: tuple[Story, Any]) -> None:
    kinds = set()
    for payload in payloads(anchored[0]):
        statement = read_payload(payload)
        predicate = read_predicate(statement)
        assert predicate.payload() == payload
        kinds.add(type(predicate).__name__)
    assert kinds == {"Party", "Version", "Draft", "Round", "Run", "Prediction"}


def test_in_toto_library_accepts_ours(anchored: tuple[Story, Any]) -> None:
    judge = pytest.importorskip("in_toto_attestation.v1.statement")
    from google.protobuf import json_format

    for payload in payloads(anchored[0]):
        message = judge.spb.Statement()
        json_format.Parse(payload.decode(), message)
        judge.Statement.copy_from_pb(message).validate()


def test_slsa_schema_accepts_runs(anchored: tuple[Story, Any]) -> None:
    judge = pytest.importorskip("in_toto_attestation.predicates.provenance.v1.provenance_pb2")
    from google.protobuf import json_format

    runs = [p for p in payloads(anchored[0]) if b"slsa.dev/provenance/v1" in p]
    assert len(runs) == 1
    # the parser refuses fields that SLSA does not have
    message = json_format.ParseDict(canonical.loads(runs[0])["predicate"], judge.Provenance())
    build = message.build_definition
    assert build.build_type.startswith("https://")
    assert len(build.resolved_dependencies) == 4
    assert message.run_details.builder.id.startswith("usufruct:party/0x")


@pytest.mark.parametrize(
    "change",
    [
        {"_type": "https://in-toto.io/Statement/v0.1"}, {"subject": []}, {"subject": {}},
        {"subject": [{"name": "a", "digest": {}}]}, {"subject": [{"name": "a"}]},
        {"subject": [{"name": "a", "digest": {"sha256": "AA"}}]},
        {"subject": [{"name": "a", "digest": {"sha256": "0" * 64, "sha1": "0" * 64}}]},
        {"subject": [{"name": 1, "digest": {"sha256": "0" * 64}}]},
        {"predicateType": 5}, {"predicate": []}, {"more": 1},
    ],
)  # fmt: skip
def test_hostile_statements(change: dict[str, Any]) -> None:
    good = canonical.loads(make_statement("t", [Subject("a", "sha256", digest("a"))], {"x": "1.5"}))
    with pytest.raises(BadInput):
        read_payload(canonical.dumps(good | change))


def test_floats_and_no_subject_are_refused() -> None:
    subject = Subject("a", "sha256", digest("a"))
    with pytest.raises(BadInput):
        make_statement("t", [subject], {"x": 1.5})
    with pytest.raises(BadInput):
        make_statement("t", [], {})


def test_wrong_payload_type_is_refused(anchored: tuple[Story, Any]) -> None:
    envelope = sign_statement(payloads(anchored[0])[0], [anchored[0].builder.identity])
    assert envelope.payload_type == PAYLOAD_TYPE
    with pytest.raises(BadInput):
        read_statement(replace(envelope, payload_type="text/plain"))


def test_unknown_type_is_refused() -> None:
    payload = make_statement("https://usufruct.dev/party/v2", [Subject("a", "b", digest("a"))], {})
    with pytest.raises(BadInput):
        read_predicate(read_payload(payload))


def test_subject_is_tied_to_the_predicate(anchored: tuple[Story, Any]) -> None:
    story = anchored[0]
    good = canonical.loads(story.versions["ours"].payload())
    good["subject"][0]["digest"]["usufructContentRoot"] = digest("another")
    with pytest.raises(BadInput):
        read_predicate(read_payload(canonical.dumps(good)))
    good = canonical.loads(story.versions["ours"].payload())
    good["predicate"]["kind"] = "model"
    with pytest.raises(BadInput):
        read_predicate(read_payload(canonical.dumps(good)))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("version", 0), ("version", True), ("version", "1"), ("owner", "0x" + "AB" * 20),
        ("created", "2026-11-22"), ("created", "2026-11-22T12:00:00Z\n"), ("size", -1),
        ("files", 0), ("inputs", {}), ("inputs", [{}]), ("run", ""), ("metadata", {"a": 1}),
        ("metadata", []), ("asset", "x"), ("salt", "00"), ("kind", ["model"]), ("title", 5),
    ],
)  # fmt: skip
def test_hostile_version_fields(anchored: tuple[Story, Any], name: str, value: Any) -> None:
    good = canonical.loads(anchored[0].versions["ours"].payload())
    good["predicate"][name] = value
    with pytest.raises(BadInput):
        read_predicate(read_payload(canonical.dumps(good)))
    del good["predicate"][name]
    with pytest.raises(BadInput):
        read_predicate(read_payload(canonical.dumps(good)))


def test_references_are_followed_in_order(anchored: tuple[Story, Any]) -> None:
    story = anchored[0]
    model = story.versions["model"]
    digests = story.digests
    assert needed_by(model) == (digests["run"], digests["ours"], digests["theirs"])
    twice = replace(model, inputs=(model.inputs[0], model.inputs[0]))
    with pytest.raises(BadInput):
        Version.read(read_payload(twice.payload()))


def test_commitments() -> None:
    one = commit_value({"age": "63"}, bytes(32))
    assert one != commit_value({"age": "63"}, b"\1" * 32)
    assert one != commit_value({"age": "64"}, bytes(32))
    for value, salt in (({"age": "63"}, b""), ({"age": 63}, bytes(32))):
        with pytest.raises(BadInput):
            commit_value(value, salt)  # type: ignore[arg-type]
    assert WHEN.endswith("Z")
