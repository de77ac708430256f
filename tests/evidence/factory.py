"""A whole small story made for tests: two parties, two datasets, three rounds, a model, an answer.

Everything is real (identities, logs in the folder given, signatures, proofs) but the ledger: its
blocks are made here, receipts and tries included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from usufruct.crypto import dsse
from usufruct.crypto.hash import keccak256
from usufruct.crypto.identity import Identity
from usufruct.crypto.notes import Checkpoint
from usufruct.evidence.anchoring import (
    ANCHORED_TOPIC,
    AnchorProof,
    TrustedLedger,
    anchor_name,
    find_anchor,
    origin_of,
)
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import FileClaim, Opening, PredictionClaim, RowClaim, VersionClaim
from usufruct.evidence.content import CHUNK, FileEntry, FileSalts, Manifest, file_seeds, row_leaves
from usufruct.evidence.gather import OwnLog, build_bundle
from usufruct.evidence.predicates import Draft, Party, Reference, Version, asset_id
from usufruct.evidence.proofs import prove_file, prove_row
from usufruct.evidence.provenance import Run
from usufruct.evidence.statements import sign_statement, statement_digest
from usufruct.evidence.work import Member, Prediction, Round
from usufruct.ledger import rlp
from usufruct.ledger.receipts import ReceiptProof
from usufruct.ledger.trie import ListTrie
from usufruct.log import Log
from usufruct.ports import Signer
from usufruct.types import Address, AssetKind, Digest

WHEN = "2026-11-22T12:00:00Z"
CHAIN = 7411
ANCHORS = Address("0x" + "a5" * 20)
LEDGER = TrustedLedger(CHAIN, ANCHORS)


def digest(text: str) -> Digest:
    """Return some digest."""
    return Digest(sha256(text.encode()).hexdigest())


@dataclass
class Home:
    """A party with its log, whose first entry is its key."""

    identity: Identity
    log: Log
    anchor: AnchorProof | None = None

    @classmethod
    def make(cls, folder: Path, name: str) -> Home:
        """Make one; the keys follow from the name."""
        identity = Identity(name, sha256(name.encode()).digest())
        origin = origin_of(identity.address)
        home = cls(identity, Log.open(folder / name, origin=origin, signer=identity))
        home.say(Party("add", identity.public, WHEN).payload())
        return home

    @property
    def address(self) -> Address:
        return self.identity.address

    def say(self, payload: bytes, others: Sequence[Signer] = ()) -> Digest:
        """Sign a statement, log it, return its digest."""
        self.append(sign_statement(payload, (self.identity, *others)))
        return statement_digest(payload)

    def append(self, envelope: dsse.Envelope) -> int:
        """Log an envelope and return its index."""
        return self.log.append(envelope.to_bytes()).index

    def source(self) -> OwnLog:
        """Return the log as a source of evidence, with the anchor if one was set."""
        return OwnLog(self.log, lambda checkpoint: self.anchor)

    def checkpoint(self) -> Checkpoint:
        """Return the log's head."""
        return Checkpoint(self.log.origin, self.log.size, self.log.root)


def table(lines: Sequence[Sequence[str]], name: str, seed: str) -> Manifest:
    """Return the manifest of one table and a note beside it."""
    root = sha256(seed.encode()).digest()
    seeds = list(file_seeds(root, 2))
    body = "\n".join(",".join(line) for line in lines).encode()
    leaves, count = row_leaves(lines, FileSalts.of(seeds[1]))
    note = FileEntry("README.md", "file", 3, "sha256", sha256(b"hi\n").digest())
    rows = FileEntry(name, "table", len(body), "sha256", sha256(body).digest(), leaves, count)
    return Manifest("sha256", CHUNK, root, (note, rows))


def version(
    owner: Address,
    manifest: Manifest,
    title: str,
    *,
    kind: AssetKind = AssetKind.DATASET,
    number: int = 1,
    inputs: tuple[Reference, ...] = (),
    run: Digest | None = None,
) -> Version:
    """Return a version's predicate that fits the manifest."""
    salt = sha256(title.encode()).digest()[:16]
    return Version(
        asset_id(owner, salt),
        salt,
        number,
        kind,
        title,
        owner,
        Digest(manifest.content_root.hex()),
        manifest.size,
        len(manifest.files),
        manifest.rows,
        manifest.algorithm,
        WHEN,
        inputs,
        run,
        {"licence": "CC-BY-4.0"},
    )


@dataclass
class Story:
    """What was made; digests name statements."""

    hospital: Home
    builder: Home
    rows: list[list[str]]
    manifests: dict[str, Manifest] = field(default_factory=dict)
    versions: dict[str, Version] = field(default_factory=dict)
    digests: dict[str, Digest] = field(default_factory=dict)
    openings: dict[str, Opening] = field(default_factory=dict)

    def sources(self) -> list[OwnLog]:
        """Return both logs as sources."""
        return [self.hospital.source(), self.builder.source()]

    def reference(self, name: str) -> Reference:
        """Return how to refer to one of the versions."""
        return self.versions[name].reference(self.digests[name])

    def anchor(self) -> FakeLedger:
        """Anchor both logs as they are now and return the ledger that holds them."""
        ledger = FakeLedger()
        for home in (self.hospital, self.builder):
            home.anchor = ledger.anchor(home.address, home.checkpoint())
            public = home.identity.public
            ledger.keys[home.address] = (public.signing_key, public.encryption_key, 1)
        return ledger

    def bundle(self, kind: str, *, manifest: bool = False) -> Bundle:
        """Return a bundle of one kind: dataset, version (model), file, row or prediction."""
        data, sources = self.manifests["ours"], self.sources()
        if kind == "dataset":
            shown = data if manifest else None
            return build_bundle(VersionClaim(self.digests["ours"]), sources, manifest=shown)
        if kind == "version":
            shown = self.manifests["model"] if manifest else None
            claim = VersionClaim(self.digests["model"], lineage=True)
            return build_bundle(claim, sources, manifest=shown)
        if kind == "file":
            proof = prove_file(data, "rows.csv")
            return build_bundle(FileClaim(self.digests["ours"], proof), sources)
        if kind == "row":
            row = prove_row(data, "rows.csv", 3, self.rows[2])
            return build_bundle(RowClaim(self.digests["ours"], row), sources)
        opened = (self.openings["input"], self.openings["output"])
        return build_bundle(PredictionClaim(self.digests["prediction"], *opened), sources)

    def close(self) -> None:
        """Close both logs."""
        self.hospital.log.close()
        self.builder.log.close()


def make_story(folder: Path, *, rounds: int = 3) -> Story:
    """Play the whole story in `folder`; close it when done."""
    hospital, builder = Home.make(folder, "Hospital"), Home.make(folder, "Builder")
    rows = [[str(age), "0", f"{age}.5", "é" * (age % 3)] for age in range(40, 53)]
    story = Story(hospital, builder, rows)

    def publish(home: Home, name: str, said: Version, manifest: Manifest) -> None:
        story.versions[name], story.manifests[name] = said, manifest
        story.digests[name] = home.say(said.payload())

    ours, theirs = table(rows, "rows.csv", "ours"), table(rows[:5], "rows.csv", "theirs")
    publish(hospital, "ours", version(hospital.address, ours, "Cleveland"), ours)
    publish(builder, "theirs", version(builder.address, theirs, "Own"), theirs)
    inputs = (story.reference("ours"), story.reference("theirs"))
    weights = table([["0.25", "-1.5"]], "weights.csv", "model")
    model = version(builder.address, weights, "Risk", kind=AssetKind.MODEL, inputs=inputs)
    shares = ((hospital.address, "0.5"), (builder.address, "0.5"))
    terms = {"rounds": str(rounds), "seed": "7"}
    draft = Draft(
        model.asset, model.salt, model.kind, "Risk", builder.address, WHEN, inputs, shares, terms
    )
    story.digests["draft"] = builder.say(draft.payload())
    last: Digest | None = None
    for number in range(1, rounds + 1):
        members = tuple(
            Member(owner, item, digest(f"update {number} {owner}"), data.rows)
            for owner, item, data in zip(
                (hospital.address, builder.address), inputs, (ours, theirs), strict=True
            )
        )
        said = Round(
            story.digests["draft"],
            number,
            last,
            "average",
            digest(f"state {number - 1}"),
            digest(f"state {number}"),
            members,
            WHEN,
            {"loss": "0.5"},
        )
        last = builder.say(said.payload(), (hospital.identity,))
        story.digests[f"round {number}"] = last
    run = Run(
        "Risk",
        model.content_root,
        "https://usufruct.dev/federated-averaging/v1",
        terms,
        story.digests["draft"],
        last,
        inputs,
        builder.address,
        "run-1",
        WHEN,
        WHEN,
    )
    story.digests["run"] = builder.say(run.payload())
    made = version(
        builder.address,
        weights,
        "Risk",
        kind=AssetKind.MODEL,
        inputs=inputs,
        run=story.digests["run"],
    )
    publish(builder, "model", made, weights)
    story.openings["input"] = Opening({"age": "63", "sex": "1"}, sha256(b"in").digest())
    story.openings["output"] = Opening({"risk": "0.73"}, sha256(b"out").digest())
    said_in, said_out = story.openings["input"].digest, story.openings["output"].digest
    prediction = Prediction(story.reference("model"), said_in, said_out, WHEN)
    story.digests["prediction"] = builder.say(prediction.payload())
    hospital.say(version(hospital.address, theirs, "Unrelated").payload())
    return story


class FakeLedger:
    """A ledger of one block an anchor; a ``LedgerCheck``."""

    def __init__(self) -> None:
        self.network = LEDGER
        self.blocks: dict[int, bytes] = {}
        self.heads: dict[tuple[Address, str], tuple[int, bytes]] = {}
        self.keys: dict[Address, tuple[bytes, bytes, int]] = {}

    def anchor(
        self,
        sender: Address,
        head: Checkpoint,
        *,
        against: Checkpoint | None = None,
        consistency: tuple[bytes, ...] = (),
        contract: Address = ANCHORS,
    ) -> AnchorProof:
        """Mine a block that anchors `head` and return the proof for checkpoint `against`."""
        number = len(self.blocks) + 1
        receipt = anchor_receipt(sender, head, number, contract)
        self.blocks[number] = receipt.block_hash
        self.heads[sender, head.origin] = (head.size, head.root[:24])
        return find_anchor(receipt, against or head, consistency)

    def block_hash(self, number: int) -> bytes | None:
        return self.blocks.get(number)

    def anchor_head(self, address: Address, origin: str) -> tuple[int, bytes] | None:
        return self.heads.get((address, origin))

    def party_keys(self, address: Address) -> tuple[bytes, bytes, int] | None:
        return self.keys.get(address)


def anchor_receipt(
    sender: Address, head: Checkpoint, number: int, contract: Address = ANCHORS, status: int = 1
) -> ReceiptProof:
    """Return the proof of a receipt with an ``Anchored`` event, in a block made for it."""
    event: list[rlp.Encodable] = [
        bytes.fromhex(contract[2:]),
        [ANCHORED_TOPIC, bytes(12) + bytes.fromhex(sender[2:]), anchor_name(head.origin)],
        head.size.to_bytes(32, "big") + head.root,
    ]
    other: list[rlp.Encodable] = [bytes(20), [keccak256(b"Other()")], b""]
    receipts = [
        b"\x02" + rlp.encode([status, 21_000 * (place + 1), bytes(256), logs])
        for place, logs in enumerate(([other], [other, event], [other]))
    ]
    trie = ListTrie(receipts)
    head_fields: list[rlp.Encodable] = [
        bytes(32), bytes(32), bytes(20), bytes(32), bytes(32), trie.root, bytes(256),
        0, number, 30_000_000, 63_000, 1_795_000_000 + number, b"", bytes(32), bytes(8), 7,
    ]  # fmt: skip
    header = rlp.encode(head_fields)
    return ReceiptProof(CHAIN, number, header, receipts[1], 1, trie.proof(1))
