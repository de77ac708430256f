"""What our statements say about assets: references, versions, drafts and parties' keys.

Each class is one predicate: :meth:`payload` gives the statement ready for signing and
:func:`usufruct.evidence.reading.read_predicate` reads it back. Fields are what the JSON
holds, under the same names. Reading is strict: a predicate that does not encode back to the same
value is refused. Times are RFC 3339 in UTC to the second.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from usufruct.crypto.hash import keccak256
from usufruct.crypto.keystore import PublicIdentity
from usufruct.errors import BadInput
from usufruct.evidence import fields
from usufruct.evidence.statements import (
    ASSET_ID,
    CONTENT_ROOT,
    SHA256,
    Statement,
    Subject,
    make_statement,
    predicate_type,
)
from usufruct.types import Address, AssetId, AssetKind, Digest

MAX_INPUTS = 1024
MAX_METADATA = 256
MAX_VALUE = 65536
PARTY_ACTIONS = ("add", "rotate", "revoke")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z", re.ASCII)


def asset_id(owner: Address, salt: bytes) -> AssetId:
    """Return keccak256(owner ‖ salt), which nobody but the owner can claim as his asset."""
    return AssetId(keccak256(bytes.fromhex(owner[2:]) + salt).hex())


@dataclass(frozen=True, slots=True)
class Reference:
    """A version named by everything that identifies it; the walk checks all four."""

    asset: AssetId
    version: int
    content_root: Digest
    statement: Digest

    def to_dict(self) -> dict[str, Any]:
        """Return the reference as plain data."""
        return {
            "asset": self.asset,
            "version": self.version,
            "content_root": self.content_root,
            "statement": self.statement,
        }

    @classmethod
    def from_dict(cls, value: Any) -> Reference:
        """Read a reference strictly (BadInput)."""
        data = fields.record(
            value, {"asset", "version", "content_root", "statement"}, "a reference to a version"
        )
        return cls(
            AssetId(fields.digest(data["asset"], "asset id")),
            fields.whole(data["version"], "a version", 1),
            Digest(fields.digest(data["content_root"], "content root")),
            Digest(fields.digest(data["statement"], "statement digest")),
        )


@dataclass(frozen=True, slots=True)
class Version:
    """A version of an asset was published.

    Parameters
    ----------
    asset, salt
        The asset's id and the 16-byte salt it was made with: ``keccak256(owner ‖ salt)``.
    version
        From 1.
    kind, title, metadata
        What it is; metadata is text by text.
    owner
        Who publishes it; the statement stands in the owner's log.
    content_root, size, files, rows, algorithm
        Of the manifest; `rows` counts table rows, 0 without.
    inputs
        The versions it was made from.
    run
        Digest of the provenance statement of the run that made it; None when it was not made by
        a run.
    """

    asset: AssetId
    salt: bytes
    version: int
    kind: AssetKind
    title: str
    owner: Address
    content_root: Digest
    size: int
    files: int
    rows: int
    algorithm: str
    created: str
    inputs: tuple[Reference, ...] = ()
    run: Digest | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)

    def reference(self, statement: Digest) -> Reference:
        """Return how others refer to this version, given its statement's digest."""
        return Reference(self.asset, self.version, self.content_root, statement)

    def payload(self) -> bytes:
        """Return the statement, ready for signing (BadInput: a field is not valid)."""
        subject = Subject(self.title, CONTENT_ROOT, self.content_root)
        predicate = {
            "asset": self.asset,
            "salt": self.salt.hex(),
            "version": self.version,
            "kind": str(self.kind),
            "title": self.title,
            "owner": self.owner,
            "content_root": self.content_root,
            "size": self.size,
            "files": self.files,
            "rows": self.rows,
            "algorithm": self.algorithm,
            "created": self.created,
            "inputs": [item.to_dict() for item in self.inputs],
            "run": self.run,
            "metadata": dict(self.metadata),
        }
        return make_statement(predicate_type(str(self.kind)), (subject,), predicate)

    @classmethod
    def read(cls, statement: Statement) -> Version:
        """Read the predicate strictly (BadInput)."""
        names = {"asset", "salt", "version", "kind", "title", "owner", "content_root", "size"}
        names |= {"files", "rows", "algorithm", "created", "inputs", "run", "metadata"}
        data = fields.record(statement.predicate, names, "a version's statement")
        return cls(
            AssetId(fields.digest(data["asset"], "asset id")),
            fields.unhex(data["salt"], "asset's salt", 16),
            fields.whole(data["version"], "a version", 1),
            kind_of(data["kind"]),
            fields.text(data["title"], "a title"),
            fields.address(data["owner"], "owner"),
            Digest(fields.digest(data["content_root"], "content root")),
            fields.whole(data["size"], "a size"),
            fields.whole(data["files"], "the number of files", 1),
            fields.whole(data["rows"], "the number of rows"),
            fields.text(data["algorithm"], "a digest's name", 32),
            time_of(data["created"]),
            references(data["inputs"]),
            optional_digest(data["run"], "digest of the run"),
            metadata_of(data["metadata"]),
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """An asset is going to be made from `parents` under `terms`; logged before the work begins.

    Parameters
    ----------
    parents
        The versions it will be made from.
    split
        Who gets which part of its income: addresses and decimal shares as text.
    terms
        What was agreed (rounds, seed, algorithm digest, privacy), text by text.
    """

    asset: AssetId
    salt: bytes
    kind: AssetKind
    title: str
    owner: Address
    created: str
    parents: tuple[Reference, ...] = ()
    split: tuple[tuple[Address, str], ...] = ()
    terms: Mapping[str, str] = field(default_factory=dict)

    def payload(self) -> bytes:
        """Return the statement, ready for signing (BadInput: a field is not valid)."""
        predicate = {
            "asset": self.asset,
            "salt": self.salt.hex(),
            "kind": str(self.kind),
            "title": self.title,
            "owner": self.owner,
            "created": self.created,
            "parents": [item.to_dict() for item in self.parents],
            "split": [{"party": party, "share": share} for party, share in self.split],
            "terms": dict(self.terms),
        }
        subject = Subject(self.title, ASSET_ID, Digest(self.asset))
        return make_statement(predicate_type("draft"), (subject,), predicate)

    @classmethod
    def read(cls, statement: Statement) -> Draft:
        """Read the predicate strictly (BadInput)."""
        names = {"asset", "salt", "kind", "title", "owner", "created", "parents", "split", "terms"}
        data = fields.record(statement.predicate, names, "a draft")
        split = []
        for item in fields.items(data["split"], "a split", MAX_INPUTS):
            part = fields.record(item, {"party", "share"}, "a part of a split")
            share = fields.text(part["share"], "a share", 80)
            split.append((fields.address(part["party"], "payee"), share))
        return cls(
            AssetId(fields.digest(data["asset"], "asset id")),
            fields.unhex(data["salt"], "asset's salt", 16),
            kind_of(data["kind"]),
            fields.text(data["title"], "a title"),
            fields.address(data["owner"], "owner"),
            time_of(data["created"]),
            references(data["parents"]),
            tuple(split),
            metadata_of(data["terms"]),
        )


@dataclass(frozen=True, slots=True)
class Party:
    """A party's keys: added first, rotated or revoked later; order in the party's log decides.

    Parameters
    ----------
    action
        ``add`` (entry 0 of the log, signed by the new key), ``rotate`` (signed by the old and the
        new key) or ``revoke`` (signed by the key it ends; nothing after it counts).
    identity
        With the binding of the new signing key (for ``revoke`` the one that ends) to the address.
    """

    action: str
    identity: PublicIdentity
    created: str

    def payload(self) -> bytes:
        """Return the statement, ready for signing (BadInput: a field is not valid)."""
        key = Digest(self.identity.key_id.rpartition(":")[2])
        predicate = {
            "action": self.action,
            "identity": self.identity.to_dict(),
            "created": self.created,
        }
        subject = Subject(self.identity.address, SHA256, key)
        return make_statement(predicate_type("party"), (subject,), predicate)

    @classmethod
    def read(cls, statement: Statement) -> Party:
        """Read the predicate strictly (BadInput)."""
        names = {"action", "identity", "created"}
        data = fields.record(statement.predicate, names, "a party's statement")
        if data["action"] not in PARTY_ACTIONS:
            raise BadInput(f"a party's statement does one of {', '.join(PARTY_ACTIONS)}")
        identity = PublicIdentity.from_dict(data["identity"])
        return cls(data["action"], identity, time_of(data["created"]))


def kind_of(value: Any) -> AssetKind:
    """Return an asset kind (BadInput: no such kind)."""
    if value not in list(AssetKind):
        raise BadInput("no such kind of asset")
    return AssetKind(value)


def time_of(value: Any) -> str:
    """Return a time in RFC 3339 UTC to the second (BadInput: anything else)."""
    if not isinstance(value, str) or not _TIME.match(value):
        raise BadInput("a time is written like 2026-01-31T12:00:00Z")
    return value


def optional_digest(value: Any, what: str) -> Digest | None:
    """Return a digest or None (BadInput: anything else)."""
    return None if value is None else Digest(fields.digest(value, what))


def references(value: Any) -> tuple[Reference, ...]:
    """Return a list of references, none of them twice (BadInput: anything else)."""
    found = fields.items(value, "a list of references", MAX_INPUTS)
    result = tuple(Reference.from_dict(item) for item in found)
    if len(set(result)) != len(result):
        raise BadInput("a list of references names one version twice")
    return result


def metadata_of(value: Any) -> dict[str, str]:
    """Return text by text (BadInput: anything else, or too much of it)."""
    if not isinstance(value, dict) or len(value) > MAX_METADATA:
        raise BadInput(f"metadata is at most {MAX_METADATA} names and texts")
    return {
        fields.text(name, "a name", 255): fields.text(item, f"'{name[:40]}'", MAX_VALUE)
        for name, item in value.items()
    }
