"""Fetch what a licence allows: evidence first, then keys, then bytes, each held against the ledger.

While a purchase can still be undone, the keys come last but one: all ciphertext is fetched, a chunk
that neither side could choose is opened and proved to be part of the published content, and only
then does the holder sign that he was served.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from usufruct.assets.delivery import (
    GrantedKeys,
    can_probe,
    delivery_info,
    open_delivery,
    open_probe,
    pick_chunk,
    probe_seed,
)
from usufruct.assets.sealing import SealedAsset
from usufruct.assets.sidecar import evidence_path, write_evidence
from usufruct.crypto import dsse
from usufruct.crypto.identity import PublicIdentity
from usufruct.errors import (
    NotAllowed,
    NotFound,
    UsufructError,
    VerificationError,
)
from usufruct.evidence.bundle import Bundle
from usufruct.evidence.claims import VersionClaim
from usufruct.evidence.predicates import Version
from usufruct.evidence.reading import read_predicate
from usufruct.evidence.statements import PAYLOAD_TYPE, read_statement
from usufruct.evidence.verify import verify_bundle
from usufruct.peer.client import NodeClient
from usufruct.peer.downloads import (
    Source,
    load_files,
    load_manifest,
    load_sealed,
    stashed_chunk,
)
from usufruct.peer.partial import Partial, check_free
from usufruct.store import make_folder, read_bytes, write_atomic
from usufruct.types import Address, AssetId, Digest, LicenceId
from usufruct.workspace.sealing import DIGEST
from usufruct.workspace.session import Session

RECEIPTS = "receipts"
"""Folder of a home with what nodes signed for, and how often counted licences were used."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """A version that was fetched and is what its owner registered.

    Parameters
    ----------
    path
        The new folder with its files.
    files, size
        How many, and their bytes.
    version
        Its number.
    evidence
        The evidence beside the files, for ``usufruct verify``.
    statement
        Where the node's signed word is kept that it gave the keys; None if it gave none that
        holds.
    """

    path: Path
    files: int
    size: int
    version: int
    evidence: Path
    statement: Path | None

    def as_dict(self) -> dict[str, Any]:
        """Return plain data, for ``--json``."""
        return {k: str(v) if isinstance(v, Path) else v for k, v in asdict(self).items()}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is fetched, by which right, for whom."""

    session: Session
    asset: AssetId
    version: int
    licence: LicenceId
    root: Digest

    @property
    def info(self) -> bytes:
        holder = self.session.account.address
        return delivery_info(self.asset, self.version, self.licence, holder, self.root)


def fetch(
    session: Session,
    *,
    asset: AssetId,
    version: int,
    licence: LicenceId,
    node_url: str,
    node_address: Address,
    target: Path,
    root: Digest,
    timeout: float = 30.0,
) -> Fetched:
    """Download a version into the new folder `target`; called again it goes on where it stopped.

    Parameters
    ----------
    node_url, node_address
        Where the node is, and the account of the party that must operate it.
    root
        The version's content root as the ledger has it.
    timeout
        Seconds that connecting, a silence or a short answer may take.

    Raises
    ------
    AlreadyExists
        There is something at `target`.
    NotAllowed, NotFound
        The licence is not this party's, or the node refuses.
    VerificationError
        What the node gives is not what was published; its mismatch names file and chunk.
    WrongNetwork
        The node reads another ledger.
    Unavailable
        Node or ledger do not answer, or the disk is full; what was good is kept.
    """
    check_free(target)
    wanted = _Wanted(session, asset, version, licence, root)
    about: dict[str, Any] = {"asset": asset, "number": version, "licence": licence}
    network = session.connection.network
    with NodeClient(
        node_url,
        account=session.account,
        chain_id=network.chain_id,
        node=node_address,
        timeout=timeout,
        clock=session.clock,
    ) as client:
        operator = client.about().party
        bundle = Bundle.from_bytes(client.evidence(asset, version))
        said = check_evidence(bundle, asset=asset, version=version, root=root)
        sealed = client.sealed(asset, version, licence=licence)
        check_sealed_list(sealed, said)
        source = Source(client, sealed=sealed, **about)
        with Partial(target, root=root, **about) as part:
            keys, receipt = _keys(wanted, source, part, operator)
            manifest = load_manifest(source, keys, root, part=part)
            bundle = replace(bundle, manifest=manifest)
            verify_bundle(bundle).require()
            part.check_space(manifest.size + sealed.manifest.size - part.size())
            load_files(source, keys, manifest, part, progress=session.progress)
            write_evidence(part.data, bundle.to_bytes())
            path = part.finish(len(manifest.files))
    return Fetched(path, len(manifest.files), manifest.size, version, evidence_path(path), receipt)


def check_evidence(bundle: Bundle, *, asset: AssetId, version: int, root: Digest) -> Version:
    """Return what the publisher signed, if the bundle proves exactly this version.

    Raises
    ------
    VerificationError
        It does not hold, or is of something else than the ledger has.
    """
    report = verify_bundle(bundle)
    report.require()
    if not isinstance(bundle.claim, VersionClaim):
        raise VerificationError("the node gives evidence of something else than a version")
    if (report.asset, report.version, report.content_root) != (asset, version, root):
        raise VerificationError(
            f"the node gives evidence of version {report.version} of {report.asset} with another "
            "content root than the ledger",
            hint="the ledger counts; ask the publisher",
        )
    for item in bundle.statements:
        statement = read_statement(item.envelope)
        if statement.digest == report.statement:
            found = read_predicate(statement)
            if isinstance(found, Version):
                return found
    raise VerificationError("the node gives evidence without the version's statement")


def check_sealed_list(sealed: SealedAsset, said: Version) -> None:
    """Hold the list of sealed objects against the version's statement.

    Raises
    ------
    VerificationError
        It is of other files, or another one than the publisher signed.
    """
    if (len(sealed.files), sum(one.size for one in sealed.files)) != (said.files, said.size):
        raise VerificationError("the node's list of sealed objects is of other files")
    if sealed.digest != said.metadata.get(DIGEST, sealed.digest):
        raise VerificationError("the node's list of sealed objects is not the one that was signed")


def _keys(
    wanted: _Wanted, source: Source, part: Partial, operator: PublicIdentity
) -> tuple[GrantedKeys, Path | None]:
    """Return the keys: those kept from an attempt before, else the node's."""
    session = wanted.session
    kept = part.message
    if kept is not None:
        try:
            keys = open_delivery(session.identity, kept, wanted.info, sealed=source.sealed)
        except VerificationError:
            pass  # spoilt on this disk, or what was sealed has changed
        else:
            return keys, None
    held = _held(wanted)
    acknowledgement = None
    if held["refundable"]:
        acknowledgement = part.acknowledgement or _acknowledge(wanted, source, part)
    total = held["next_use"]
    use = None
    if total is not None:
        from usufruct.ledger.bindings import licences
        from usufruct.market.signing import sign

        digest = licences.use_digest(_domain(session), wanted.licence, total)
        use = (total, sign(session.account, digest))
    granted = source.client.grant(
        wanted.asset,
        wanted.version,
        licence=wanted.licence,
        encryption_key=session.public.encryption_key,
        use=use,
        acknowledgement=acknowledgement,
    )
    keys = open_delivery(session.identity, granted.grant, wanted.info, sealed=source.sealed)
    part.message = granted.grant
    if total is not None:
        write_atomic(_uses(session, wanted.licence), str(total).encode())
    return keys, _keep_statement(session, granted.statement, operator)


def _acknowledge(wanted: _Wanted, source: Source, part: Partial) -> bytes:
    """Fetch all ciphertext, open one chunk unless there are few, and sign that it was served.

    Raises
    ------
    VerificationError
        What lies here does not prove that it is what was published; nothing was signed.
    """
    from usufruct.ledger.bindings import licences
    from usufruct.market.signing import sign

    session, sealed = wanted.session, source.sealed
    needed = sum(one.sealed_size for one in sealed.objects)
    part.check_space(needed + max(one.size for one in sealed.files) - part.size())
    load_sealed(source, part, progress=session.progress)
    if can_probe(sealed):
        message = source.client.probe(
            wanted.asset,
            wanted.version,
            licence=wanted.licence,
            encryption_key=session.public.encryption_key,
        )
        seed = probe_seed(_bought_in(wanted), wanted.licence, wanted.version)
        place = pick_chunk(sealed, seed)
        probe = open_probe(session.identity, message, wanted.info, place)
        chunk = stashed_chunk(part, sealed.files[probe.file], probe.chunk)
        probe.check(sealed, chunk, wanted.root)
    root = bytes.fromhex(wanted.root)
    digest = licences.acknowledgement_digest(_domain(session), wanted.licence, root)
    signature = sign(session.account, digest)
    part.acknowledgement = signature
    return signature


def _bought_in(wanted: _Wanted) -> str:
    """Return the hash of the block that the licence was bought in."""
    index = wanted.session.index
    record = index.licence(wanted.licence)
    found = None if record is None else index.block_hash(record.block)
    if found is None:
        raise NotFound(f"there is no licence {wanted.licence} on the ledger")
    return found


def _held(wanted: _Wanted) -> Mapping[str, Any]:
    """Return whether a licence is refundable, and the total after its next use (None: uncounted).

    Raises
    ------
    NotFound, NotAllowed
        There is no such licence, or it is another's.
    """
    from usufruct.ledger.bindings import licences

    session = wanted.session
    ledger = session.ledger
    contract = session.connection.network.address("Licences")
    found = ledger.call(licences.licence(contract, wanted.licence))
    if found is None:
        raise NotFound(f"there is no licence {wanted.licence} on the ledger")
    if found.owner != session.account.address:
        raise NotAllowed(
            f"the licence {wanted.licence} is held by {found.owner}",
            hint="usufruct id use its holder's name",
        )
    # also after the deadline: a price that nobody has settled yet, the node cannot count on
    refundable = found.refund_deadline != 0
    total = None
    if found.uses != licences.UNCOUNTED:
        try:
            # the node may not have brought to the ledger yet what it was told
            kept = int(read_bytes(_uses(session, wanted.licence), limit=20))
        except (NotFound, ValueError):
            kept = 0
        total = max(found.used, kept) + 1
    return {"refundable": refundable, "next_use": total}


def _domain(session: Session) -> Any:
    from usufruct.ledger.bindings import licences

    network = session.connection.network
    return licences.domain(network.chain_id, network.address("Licences"))


def _keep_statement(
    session: Session, statement: dsse.Envelope, operator: PublicIdentity
) -> Path | None:
    """Keep the node's word that it gave the keys, if it is its word; nothing hangs on it."""
    try:
        dsse.verify(statement, {operator.key_id: operator.signing_key})
        if statement.payload_type != PAYLOAD_TYPE:
            return None
        digest = read_statement(statement).digest
    except UsufructError:
        return None
    path = _receipts(session) / f"{digest}.json"
    write_atomic(path, statement.to_bytes())
    return path


def _uses(session: Session, licence: LicenceId) -> Path:
    return _receipts(session) / f"uses-{licence}"


def _receipts(session: Session) -> Path:
    folder = session.home.path / RECEIPTS
    make_folder(folder)
    return folder
