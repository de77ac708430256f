"""A bundle: one canonical file that proves a claim offline.

It holds the claim; every statement the claim rests on, with its place in its party's log; each
log's checkpoint and perhaps its anchor; and perhaps the manifest. Nothing in it is believed by
reading it: :func:`usufruct.evidence.verify.verify_bundle` does that. The checksum tells a damaged
file early; it protects from nobody, and every check holds without it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from usufruct.crypto import canonical, dsse
from usufruct.errors import BadInput, UsageError, VerificationError
from usufruct.evidence import fields
from usufruct.evidence.anchoring import AnchorProof
from usufruct.evidence.claims import Claim, read_claim
from usufruct.evidence.content import Manifest

FORMAT = "usufruct/bundle/v1"
MAX_BUNDLE = 512 * 1024 * 1024
MAX_DEPTH = 12
MAX_STATEMENTS = 100_000
MAX_LOGS = 10_000
_NAMES = {"format", "claim", "statements", "logs", "manifest", "checksum"}


@dataclass(frozen=True, slots=True)
class LoggedStatement:
    """A signed statement and its place in a log.

    Parameters
    ----------
    envelope
        As it stands in the log, all signatures included.
    origin, index
        Which log, which entry.
    salt
        32 bytes; the entry is SHA-256(salt ‖ envelope).
    nodes
        RFC 6962 inclusion proof to the log's checkpoint in the bundle.
    """

    envelope: dsse.Envelope
    origin: str
    index: int
    salt: bytes
    nodes: tuple[bytes, ...]

    @property
    def entry(self) -> bytes:
        """The log entry, 32 bytes."""
        return hashlib.sha256(self.salt + self.envelope.to_bytes()).digest()

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "envelope": self.envelope.to_dict(),
            "origin": self.origin,
            "index": self.index,
            "salt": self.salt.hex(),
            "nodes": fields.join(self.nodes),
        }

    @classmethod
    def from_dict(cls, value: Any) -> LoggedStatement:
        """Read untrusted plain data strictly (BadInput)."""
        names = {"envelope", "origin", "index", "salt", "nodes"}
        data = fields.record(value, names, "a statement in a bundle")
        return cls(
            dsse.Envelope.from_dict(data["envelope"]),
            fields.text(data["origin"], "a log's origin", 255),
            fields.whole(data["index"], "a log index"),
            fields.unhex(data["salt"], "entry's salt"),
            fields.hashes(data["nodes"], "entry's inclusion proof"),
        )


@dataclass(frozen=True, slots=True)
class LogHead:
    """A log's checkpoint, a note signed by its owner alone, and perhaps the anchor of a head."""

    origin: str
    checkpoint: bytes
    anchor: AnchorProof | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            "origin": self.origin,
            "checkpoint": self.checkpoint.decode(),
            "anchor": None if self.anchor is None else self.anchor.to_dict(),
        }

    @classmethod
    def from_dict(cls, value: Any) -> LogHead:
        """Read untrusted plain data strictly (BadInput, VerificationError)."""
        data = fields.record(value, {"origin", "checkpoint", "anchor"}, "a log in a bundle")
        anchor = data["anchor"]
        try:
            note = fields.text(data["checkpoint"], "a checkpoint").encode()
        except UnicodeEncodeError:
            raise BadInput("a checkpoint is not valid Unicode text") from None
        return cls(
            fields.text(data["origin"], "a log's origin", 255),
            note,
            None if anchor is None else AnchorProof.from_dict(anchor),
        )


@dataclass(frozen=True, slots=True)
class Bundle:
    """Everything needed to check one claim without asking anybody.

    Parameters
    ----------
    claim
        What it is to prove.
    statements
        Ascending by (origin, index), none twice; only such as the claim rests on.
    logs
        Ascending by origin; exactly those of the statements.
    manifest
        Of the claimed version; only with a version's claim. Its salts let its reader test
        guesses of the content, so it goes only to who may have the files.

    Raises
    ------
    BadInput
        Not in order, or too many.
    """

    claim: Claim
    statements: tuple[LoggedStatement, ...]
    logs: tuple[LogHead, ...]
    manifest: Manifest | None = None

    def __post_init__(self) -> None:
        places = [(item.origin, item.index) for item in self.statements]
        origins = [head.origin for head in self.logs]
        if not 0 < len(places) <= MAX_STATEMENTS or len(origins) > MAX_LOGS:
            raise BadInput("a bundle holds no statements, or too many")
        if places != sorted(set(places)) or origins != sorted(set(origins)):
            raise BadInput("a bundle's statements or logs are doubled or out of order")
        if {origin for origin, _ in places} != set(origins):
            raise BadInput("a bundle's logs are not those of its statements")

    def to_bytes(self) -> bytes:
        """Return the one encoding of the bundle, canonical JSON."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "claim": self.claim.to_dict(),
            "statements": [item.to_dict() for item in self.statements],
            "logs": [head.to_dict() for head in self.logs],
            "manifest": None if self.manifest is None else self.manifest.to_dict(),
        }
        return canonical.dumps(value | {"checksum": checksum(value)}, max_depth=MAX_DEPTH)

    @classmethod
    def from_bytes(cls, data: bytes, *, max_bytes: int = MAX_BUNDLE) -> Bundle:
        """Read an untrusted bundle; nothing in it is verified yet.

        Raises
        ------
        VerificationError
            Too large, not canonical, of another format, damaged, or malformed anywhere.
        """
        try:
            value = canonical.loads(data, max_bytes=max_bytes, max_depth=MAX_DEPTH)
            if not isinstance(value, dict) or value.get("format") != FORMAT:
                raise BadInput(f"not a bundle of format {FORMAT}")
            fields.record(value, _NAMES, "a bundle")
            rest = {name: value[name] for name in _NAMES - {"checksum"}}
            if value["checksum"] != checksum(rest):
                raise BadInput("its checksum does not fit: it was damaged or edited")
            manifest = value["manifest"]
            statements = fields.items(value["statements"], "statements", MAX_STATEMENTS)
            bundle = cls(
                read_claim(value["claim"]),
                tuple(LoggedStatement.from_dict(item) for item in statements),
                tuple(LogHead.from_dict(v) for v in fields.items(value["logs"], "logs", MAX_LOGS)),
                None if manifest is None else Manifest.from_dict(manifest),
            )
            if bundle.to_bytes() != data:
                raise BadInput("it does not encode back to itself")
        except UsageError as error:
            raise VerificationError(
                f"the bundle cannot be used: {error.message}",
                hint="get the file again from who made it",
            ) from None
        return bundle


def checksum(value: dict[str, Any]) -> str:
    """Return SHA-256 over a bundle's canonical encoding without its checksum, in hexadecimal."""
    return hashlib.sha256(canonical.dumps(value, max_depth=MAX_DEPTH)).hexdigest()
