"""How a version came about: SLSA provenance v1 (slsa.dev/spec/v1.0/provenance), one run each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from usufruct.errors import BadInput
from usufruct.evidence import fields
from usufruct.evidence.predicates import MAX_INPUTS, Reference, metadata_of, time_of
from usufruct.evidence.statements import (
    CONTENT_ROOT,
    PROVENANCE,
    SHA256,
    Statement,
    Subject,
    make_statement,
)
from usufruct.types import Address, Digest

ASSET_URI = "usufruct:asset/"
STATEMENT_URI = "usufruct:statement/"
PARTY_URI = "usufruct:party/"


@dataclass(frozen=True, slots=True)
class Run:
    """Provenance of a version that was made by a run (SLSA provenance v1).

    Parameters
    ----------
    title, content_root
        Of the version that came out.
    build_type
        URI that says what `parameters` mean.
    parameters
        Everything that decides the result, text by text.
    draft, last_round
        Digests of statements; None when there was none.
    inputs
        The versions that went in.
    builder
        The party that ran it.
    invocation
        The run's own name.
    """

    title: str
    content_root: Digest
    build_type: str
    parameters: Mapping[str, str]
    draft: Digest | None
    last_round: Digest | None
    inputs: tuple[Reference, ...]
    builder: Address
    invocation: str
    started: str
    finished: str

    def payload(self) -> bytes:
        """Return the statement, ready for signing (BadInput: a field is not valid)."""
        needed = [
            {
                "name": name,
                "uri": STATEMENT_URI + digest,
                "digest": {SHA256: digest},
            }
            for name, digest in (("draft", self.draft), ("last round", self.last_round))
            if digest is not None
        ]
        needed += [
            {
                "name": "input",
                "uri": f"{ASSET_URI}{item.asset}/{item.version}",
                "digest": {CONTENT_ROOT: item.content_root},
                "annotations": {"statement": item.statement},
            }
            for item in self.inputs
        ]
        predicate = {
            "buildDefinition": {
                "buildType": self.build_type,
                "externalParameters": dict(self.parameters),
                "resolvedDependencies": needed,
            },
            "runDetails": {
                "builder": {"id": PARTY_URI + self.builder},
                "metadata": {
                    "invocationId": self.invocation,
                    "startedOn": self.started,
                    "finishedOn": self.finished,
                },
            },
        }
        subject = Subject(self.title, CONTENT_ROOT, self.content_root)
        return make_statement(PROVENANCE, (subject,), predicate)

    @classmethod
    def read(cls, statement: Statement) -> Run:
        """Read the predicate strictly (BadInput)."""
        data = fields.record(statement.predicate, {"buildDefinition", "runDetails"}, "provenance")
        names = {"buildType", "externalParameters", "resolvedDependencies"}
        build = fields.record(data["buildDefinition"], names, "a build definition")
        details = fields.record(data["runDetails"], {"builder", "metadata"}, "run details")
        builder = fields.record(details["builder"], {"id"}, "a builder")["id"]
        names = {"invocationId", "startedOn", "finishedOn"}
        times = fields.record(details["metadata"], names, "a run's metadata")
        named: dict[str, Digest] = {}
        inputs = []
        for item in fields.items(build["resolvedDependencies"], "dependencies", MAX_INPUTS + 2):
            name = item.get("name") if isinstance(item, dict) else None
            if name == "input":
                inputs.append(_read_input(item))
            elif name in ("draft", "last round") and name not in named:
                found = fields.record(item, {"name", "uri", "digest"}, "a dependency")["digest"]
                value = fields.record(found, {SHA256}, "a digest set")[SHA256]
                named[name] = Digest(fields.digest(value, "statement digest"))
            else:
                raise BadInput("a run depends on a draft, a last round and inputs only")
        if len(set(inputs)) != len(inputs):
            raise BadInput("a run names one input twice")
        return cls(
            statement.subjects[0].name,
            statement.subjects[0].digest,
            fields.text(build["buildType"], "a build type", 255),
            metadata_of(build["externalParameters"]),
            named.get("draft"),
            named.get("last round"),
            tuple(inputs),
            fields.address(fields.text(builder, "a builder").removeprefix(PARTY_URI), "builder"),
            fields.text(times["invocationId"], "an invocation", 255),
            time_of(times["startedOn"]),
            time_of(times["finishedOn"]),
        )


def _read_input(item: Any) -> Reference:
    data = fields.record(item, {"name", "uri", "digest", "annotations"}, "a dependency")
    notes = fields.record(data["annotations"], {"statement"}, "a dependency's annotations")
    root = fields.record(data["digest"], {CONTENT_ROOT}, "a digest set")[CONTENT_ROOT]
    uri = fields.text(data["uri"], "a URI").removeprefix(ASSET_URI)
    asset, _, version = uri.partition("/")
    if not version.isascii() or not version.isdigit() or len(version) > 15:
        raise BadInput("a dependency's URI does not name an asset and a version")
    return Reference.from_dict(
        {"asset": asset, "version": int(version), "content_root": root} | notes
    )
