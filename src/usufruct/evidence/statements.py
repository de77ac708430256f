"""Statements: in-toto Statement v1 in canonical JSON, signed in DSSE envelopes, read strictly.

Sources: in-toto Attestation Framework, Statement v1; DSSE v1. A statement is named by its digest,
SHA-256 over the envelope's payload; lineage is made of such digests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from usufruct.crypto import canonical, dsse
from usufruct.errors import BadInput
from usufruct.evidence import fields
from usufruct.ports import Signer
from usufruct.types import Digest

PAYLOAD_TYPE = "application/vnd.in-toto+json"
STATEMENT_TYPE = "https://in-toto.io/Statement/v1"
PREDICATE_BASE = "https://usufruct.dev/"
PROVENANCE = "https://slsa.dev/provenance/v1"

CONTENT_ROOT = "usufructContentRoot"
"""Name of a content root in a DigestSet."""

ASSET_ID = "usufructAssetId"
"""Name of an asset id in a DigestSet."""

SHA256 = "sha256"
MAX_STATEMENT = 4 * 1024 * 1024
MAX_SUBJECTS = 1024
MAX_DEPTH = 16


def predicate_type(name: str) -> str:
    """Return the predicate type of one of our own statement types, version 1."""
    return f"{PREDICATE_BASE}{name}/v1"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a statement is about.

    Parameters
    ----------
    name
        For people; nothing is decided by it.
    algorithm
        Key in the in-toto DigestSet, such as :data:`CONTENT_ROOT`.
    digest
        64 lower-case hexadecimal digits.
    """

    name: str
    algorithm: str
    digest: Digest

    def to_dict(self) -> dict[str, Any]:
        """Return the in-toto ResourceDescriptor."""
        return {"name": self.name, "digest": {self.algorithm: self.digest}}

    @classmethod
    def from_dict(cls, value: Any) -> Subject:
        """Read a ResourceDescriptor with a name and one 32-byte digest (BadInput: others)."""
        data = fields.record(value, {"name", "digest"}, "a subject")
        if not isinstance(data["digest"], dict) or len(data["digest"]) != 1:
            raise BadInput("a subject has one digest")
        ((algorithm, digest),) = data["digest"].items()
        name = fields.text(data["name"], "a subject's name")
        return cls(name, algorithm, Digest(fields.digest(digest, "digest of a subject")))


@dataclass(frozen=True, slots=True)
class Statement:
    """A statement as read, not yet believed.

    Parameters
    ----------
    type
        The predicate type, a URI.
    subjects
        At least one.
    predicate
        Plain data whose shape `type` says.
    digest
        SHA-256 over the payload.
    """

    type: str
    subjects: tuple[Subject, ...]
    predicate: Mapping[str, Any]
    digest: Digest


def statement_digest(payload: bytes) -> Digest:
    """Return what a statement is named by: SHA-256 over its payload, in hexadecimal."""
    return Digest(sha256(payload).hexdigest())


def make_statement(type_: str, subjects: Sequence[Subject], predicate: Mapping[str, Any]) -> bytes:
    """Return the payload of a statement, canonical JSON.

    Raises
    ------
    BadInput
        No subject, a value without canonical encoding (decimals are strings), or too large.
    """
    value = {
        "_type": STATEMENT_TYPE,
        "subject": [subject.to_dict() for subject in subjects],
        "predicateType": type_,
        "predicate": dict(predicate),
    }
    payload = canonical.dumps(value, max_depth=MAX_DEPTH)
    read_payload(payload)
    return payload


def sign_statement(payload: bytes, signers: Sequence[Signer]) -> dsse.Envelope:
    """Return the statement in an envelope signed by each of `signers` (BadInput: none)."""
    return dsse.sign(PAYLOAD_TYPE, payload, signers)


def read_payload(payload: bytes) -> Statement:
    """Read the payload of a statement, strictly.

    Raises
    ------
    BadInput
        Too large, not canonical JSON, or not an in-toto Statement v1 with 32-byte digests.
    """
    value = canonical.loads(payload, max_bytes=MAX_STATEMENT, max_depth=MAX_DEPTH)
    names = {"_type", "subject", "predicateType", "predicate"}
    data = fields.record(value, names, "a statement")
    if data["_type"] != STATEMENT_TYPE:
        raise BadInput("not an in-toto Statement v1")
    subjects = fields.items(data["subject"], "a statement's subjects", MAX_SUBJECTS)
    if not subjects or not isinstance(data["predicate"], dict):
        raise BadInput("a statement has a subject and a predicate")
    return Statement(
        fields.text(data["predicateType"], "a predicate type", 255),
        tuple(Subject.from_dict(item) for item in subjects),
        data["predicate"],
        statement_digest(payload),
    )


def read_statement(envelope: dsse.Envelope) -> Statement:
    """Read the statement in an envelope, strictly; no signature is checked.

    Raises
    ------
    BadInput
        Another payload type, or as :func:`read_payload`.
    """
    if envelope.payload_type != PAYLOAD_TYPE:
        raise BadInput(f"the envelope's payload is not of type {PAYLOAD_TYPE}")
    return read_payload(envelope.payload)
