"""What :func:`usufruct.open` returns: every verb of the product, for one party's home."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from usufruct.assets.manifest import read_row
from usufruct.assets.versions import AssetRecord, VersionRecord
from usufruct.crypto.notes import Checkpoint, parse_note
from usufruct.errors import BadInput, NotAllowed, NotFound
from usufruct.evidence import lineage as drawing
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import Claim, FileClaim, RowClaim, VersionClaim
from usufruct.evidence.content import Manifest
from usufruct.evidence.predicates import Party, Reference, Version
from usufruct.evidence.proofs import prove_file, prove_row
from usufruct.evidence.verify import verify_bundle
from usufruct.store import write_atomic
from usufruct.types import Address, AssetKind, AssetState, Digest, parse_address
from usufruct.units import parse_amount
from usufruct.workspace import (
    anchoring,
    finishing,
    gathering,
    predicting,
    publishing,
    registering,
    targets,
)
from usufruct.workspace.output import check_output
from usufruct.workspace.session import Session
from usufruct.workspace.views import AssetView, Lineage, Proved, VersionView

if TYPE_CHECKING:
    from collections.abc import Callable

    from usufruct.learn import Plan, Schema
    from usufruct.workspace.market import Market
    from usufruct.workspace.seats import Seat
    from usufruct.workspace.training import Trained


class Workspace(Session):
    """One party's home, opened. A context manager; see :class:`Session` for its parameters."""

    def __enter__(self) -> Workspace:
        return self

    @cached_property
    def market(self) -> Market:
        """What this party sells, buys, downloads and earns."""
        from usufruct.workspace.market import Market

        return Market(self)

    def publish(
        self,
        path: Path | str,
        *,
        title: str | None = None,
        kind: AssetKind = AssetKind.DATASET,
        update: str | None = None,
        rows: bool = True,
        sealed: bool = False,
        parents: Sequence[str] = (),
        algorithm: str = "blake3",
        follow_links: bool = False,
    ) -> publishing.Published:
        """Publish a file or folder; `parents` name what it was made from. See `publishing`."""
        made = publishing.publish(
            self,
            Path(path),
            title=title,
            kind=kind,
            update=update,
            rows=rows,
            sealed=sealed,
            inputs=[publishing.reference(self, parent) for parent in parents],
            algorithm=algorithm,
            follow_links=follow_links,
        )
        if update is not None:
            from usufruct.workspace import offering

            offering.keep_deliverable(self, made.asset)
        return made

    def draft(
        self,
        title: str,
        *,
        parents: Sequence[str],
        terms: dict[str, str] | None = None,
        split: Sequence[tuple[Address, str]] = (),
    ) -> AssetView:
        """Announce a model before it is made, naming its parents and how income is split."""
        inputs = [publishing.reference(self, parent) for parent in parents]
        record, _ = publishing.draft(self, title, parents=inputs, terms=terms, split=split)
        return self._view(record)

    def train(
        self,
        draft: str,
        seats: Sequence[Seat],
        plan: Plan,
        *,
        schema: Schema | None = None,
        on_round: Callable[[int, dict[str, object]], None] | None = None,
    ) -> Trained:
        """Learn one model from all seats as the first version of `draft`. See `training`."""
        from usufruct.workspace import training

        return training.train(self, seats, plan, draft=draft, schema=schema, on_round=on_round)

    def reference(self, asset: str) -> Reference:
        """Return how statements refer to the newest version of an asset."""
        return publishing.reference(self, asset)

    def assets(self) -> list[AssetView]:
        """Return the assets of this home, and others' whose evidence was added."""
        own = [self._view(record) for record in self.assets_store.assets()]
        return own + [self._given(*item) for item in gathering.given_versions(self)]

    def asset(self, asset: str) -> AssetView:
        """Return one asset by id, beginning of an id, or title (NotFound, BadInput)."""
        try:
            return self._view(self.assets_store.find(asset))
        except NotFound:
            return self._given(*gathering.find_given(self, asset))

    def history(self, asset: str) -> list[VersionView]:
        """Return the versions of an asset of this home, first to last."""
        record = self.assets_store.find(asset)
        return [
            VersionView(v.number, v.content_root, v.statement, v.created, _text(v.source))
            for v in self.assets_store.versions(record.id)
        ]

    def retire(self, asset: str) -> AssetView:
        """Offer an asset no longer, here and on the ledger; its evidence stays."""
        record = self.assets_store.find(asset)
        if record.owner != self.public.address:
            raise NotAllowed(f"'{record.title}' belongs to {record.owner}")
        finishing.resume(self)
        record = self.assets_store.asset(record.id)
        if record.state is not AssetState.ACTIVE:
            raise NotAllowed(f"'{record.title}' is {record.state}; only an active asset is retired")
        if self.has_ledger and registering.state_of(self, record.id) is AssetState.ACTIVE:
            registering.set_state(self, record.id, AssetState.RETIRED)
        self.assets_store.set_state(record.id, AssetState.RETIRED)
        return self._view(self.assets_store.asset(record.id))

    def receive(self, bundle: Path | str | Bundle) -> AssetView:
        """Verify another party's bundle and keep it; return the asset it is about.

        Raises
        ------
        VerificationError
            It does not prove its claim; nothing is kept.
        """
        given = bundle if isinstance(bundle, Bundle) else targets.read_bundle(Path(bundle))
        if not isinstance(given.claim, VersionClaim):
            raise BadInput(
                "only the evidence of a version is kept", hint="usufruct prove ASSET -o FILE"
            )
        verify_bundle(given)
        self.records.add_bundle(Bundle(given.claim, given.statements, given.logs))
        for digest, version, name in gathering.given_versions(self):
            if digest == given.claim.statement:
                return self._given(digest, version, name)
        raise BadInput("the bundle is about an asset of this home")

    def lineage(self, asset: str, *, down: bool = False) -> Lineage:
        """Return what an asset was made from, or with `down` what was made from it."""
        statement = publishing.reference(self, asset).statement
        known = list(gathering.statements(self))
        names: dict[str, str] = {}
        for _, predicate in known:
            if isinstance(predicate, Party):
                names[predicate.identity.address] = predicate.identity.name
        graph = drawing.graph_of(known, names)
        return Lineage(graph, statement, drawing.DOWN if down else drawing.UP)

    def prove(
        self,
        asset: str,
        output: Path | str,
        *,
        file: str | None = None,
        row: int | None = None,
        version: int | None = None,
        force: bool = False,
    ) -> Proved:
        """Write a bundle that proves a version, one of its files, or one row.

        Raises
        ------
        AlreadyExists
            There is such a file, and `force` was not given.
        NotFound, BadInput
            No such asset, file or row.
        """
        target = check_output(Path(output), force=force)
        finishing.resume(self, offline=True)
        claim, what = self._claim(asset, file, row, version)
        data = gathering.gather(self, claim).to_bytes()
        write_atomic(target, data, mode=0o644)
        return Proved(str(target), what, len(data), claim.statement)

    def predict(
        self, model: str, data: Path | str, *, output: Path | None = None, force: bool = False
    ) -> predicting.Predicted:
        """Answer each row of `data` and sign what was answered. See `predicting`."""
        return predicting.predict(self, model, Path(data), output=output, force=force)

    def anchor(self) -> anchoring.Anchor:
        """Sign a checkpoint of the log and anchor it on the ledger."""
        return anchoring.anchor(self)

    def join(self) -> str | None:
        """Register this party on the ledger of its home, and what it has published before.

        Returns the transaction that registered the party; None if it was registered already.
        """
        finishing.resume(self)
        transaction = registering.register_party(self)
        registering.catch_up(self)
        return transaction

    def log_status(self) -> dict[str, Any]:
        """Check the log against its files and describe it (Damaged)."""
        log = self.log
        log.check()
        head = Checkpoint.from_text(parse_note(log.checkpoint()).text)
        anchor = self.records.last_anchor(self.origin, log.size)
        return {
            "origin": log.origin,
            "size": log.size,
            "root": log.root.hex(),
            "checkpoint": head.size,
            "anchored": anchor[0] if anchor else None,
            "tiles": str(log.static_folder),
        }

    def log_entries(self, *, index: int | None = None, last: int = 20) -> list[dict[str, Any]]:
        """Return entries of the log as plain data, oldest first."""
        from usufruct.crypto.dsse import Envelope
        from usufruct.evidence.statements import read_statement

        log = self.log
        first = max(0, log.size - last) if index is None else index
        stop = log.size if index is None else index + 1
        if index is not None and index >= log.size:
            raise NotFound(f"the log has {log.size} entries, counted from 0")
        found = []
        for entry in log.entries(first, stop):
            item: dict[str, Any] = {"index": entry.index, "entry": entry.entry_hash.hex()}
            if entry.envelope is None:
                item |= {"type": "erased", "subject": None, "statement": None}
            else:
                envelope = Envelope.from_bytes(entry.envelope)
                statement = read_statement(envelope)
                item |= {
                    "type": statement.type,
                    "subject": statement.subjects[0].name,
                    "statement": statement.digest,
                }
                if index is not None:
                    item["predicate"] = dict(statement.predicate)
                    item["signatures"] = [s.keyid for s in envelope.signatures]
            found.append(item)
        return found

    def wallet(self) -> dict[str, Any]:
        """Return the account, its balance in wei, and where."""
        connection, address = self.connection, self.public.address
        return {
            "address": address,
            "balance_wei": str(connection.ledger.balance(address)),
            "network": connection.network.name,
            "chain_id": connection.network.chain_id,
        }

    def send(self, to: str, amount: str) -> dict[str, Any]:
        """Send `amount` ether (a decimal) to another account."""
        from usufruct.ledger.bindings.calls import Call

        receiver, wei = parse_address(to), parse_amount(amount)
        if not wei:
            raise BadInput("nothing would be sent", hint="give an amount above zero")
        receipt = self.ledger.transact(self.account, Call(receiver, b""), wei)
        return {
            "to": receiver,
            "amount_wei": str(wei),
            "transaction": receipt.tx_hash,
            "block": receipt.block_number,
        }

    def _claim(
        self, asset: str, file: str | None, row: int | None, number: int | None
    ) -> tuple[Claim, str]:
        if row is not None and file is None:
            files = self._manifest(asset, number)[1].files
            if len(files) != 1:
                raise BadInput("the asset has several files", hint="say which with --file")
            file = files[0].path
        if file is None:
            try:
                record = self.assets_store.find(asset)
            except NotFound:
                digest, given, _ = gathering.find_given(self, asset)
                claim = VersionClaim(digest, bool(given.inputs or given.run))
                return claim, f"'{given.title}' version {given.version}"
            chosen = self.assets_store.version(record.id, number)
            claim = targets.claim_of(self, chosen.statement)
            return claim, f"'{record.title}' version {chosen.number}"
        chosen, manifest = self._manifest(asset, number)
        if row is None:
            return FileClaim(chosen.statement, prove_file(manifest, file)), f"file '{file}'"
        values = _row_of(chosen.source, manifest.files, file, row)
        proof = prove_row(manifest, file, row, values)
        return RowClaim(chosen.statement, proof), f"row {row} of '{file}'"

    def _manifest(self, asset: str, number: int | None) -> tuple[VersionRecord, Manifest]:
        record = self.assets_store.find(asset)
        chosen = self.assets_store.version(record.id, number)
        return chosen, self.assets_store.manifest(record.id, chosen.number)

    def _view(self, record: AssetRecord) -> AssetView:
        versions: list[VersionRecord] = self.assets_store.versions(record.id)
        last = versions[-1] if versions else None
        return AssetView(
            record.id,
            record.title,
            record.kind,
            len(versions),
            record.state,
            record.owner,
            self.public.name if record.owner == self.public.address else "",
            last.content_root if last else None,
            last.statement if last else None,
            _text(last.source) if last else None,
            last.sealed if last else False,
            record.owner == self.public.address,
        )

    def _given(self, digest: Digest, version: Version, name: str) -> AssetView:
        return AssetView(
            version.asset,
            version.title,
            version.kind,
            version.version,
            AssetState.ACTIVE,
            version.owner,
            name,
            version.content_root,
            digest,
            None,
            False,
            False,
        )


def _text(path: Path | None) -> str | None:
    return None if path is None else str(path)


def _row_of(source: Path | None, files: Any, file: str, row: int) -> list[str]:
    known = [entry for entry in files if entry.path == file]
    if not known:
        raise NotFound(f"the asset has no file '{file}'", hint="names are as in the folder")
    path = None if source is None else source / file if source.is_dir() else source
    if path is None or not path.is_file():
        raise NotFound(
            f"the file '{file}' is not at hand, and a row is proved by showing it",
            hint="put the data back where it was published",
        )
    if known[0].row_leaves is None:
        raise BadInput(f"'{file}' was published without evidence for its rows")
    return read_row(path, file, row)[0]
