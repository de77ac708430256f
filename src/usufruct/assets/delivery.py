"""Hand a whole sealed version to one party: two covers of keys in one HPKE message.

A delivery carries the fewest keys that open files 0 to n and the manifest's chunks 0 to c, and
nothing beyond: no later file, no other version. A probe carries the key of one chunk and the proof
that its bytes are part of the published content root, so that a buyer can see, before he says that
he was served, that the ciphertext he holds is what was published.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from hashlib import sha256
from itertools import accumulate
from typing import Any, Final

from usufruct.assets.grants import Opener
from usufruct.assets.hashing import hash_function
from usufruct.assets.sealing import SealedAsset, SealKeys, chunk_keys
from usufruct.crypto import aead, canonical, hpke, merkle
from usufruct.crypto.keytree import Cover
from usufruct.errors import BadInput, Mismatch, UsageError, VerificationError
from usufruct.evidence import fields
from usufruct.evidence.content import Manifest
from usufruct.evidence.leaves import chunk_count, split32
from usufruct.evidence.proofs import FileProof, prove_file
from usufruct.types import Address, AssetId, Digest, LicenceId, parse_address

FORMAT = "usufruct/delivery/v1"
PROBE_FORMAT = "usufruct/probe/v1"
MAX_DELIVERY = 64 * 1024
"""Largest message of either kind in bytes: covers have at most 32 keys, proofs 64 hashes."""

_LABEL = FORMAT.encode() + b"\0"
_PROBE_LABEL = PROBE_FORMAT.encode() + b"\0"
_PICK_LABEL = b"usufruct/probe/pick/v1\0"
_SEED_LABEL = b"usufruct/probe/seed/v1\0"


def delivery_info(
    asset: AssetId, version: int, licence: LicenceId, holder: Address, content_root: Digest
) -> bytes:
    """Return what a delivery is bound to; receiver and giver must name the same.

    Raises
    ------
    BadInput
        An id, root or number that cannot be.
    """
    try:
        parts = [bytes.fromhex(text) for text in (asset, licence, content_root)]
        number = version.to_bytes(8, "big")
    except (ValueError, TypeError, OverflowError, AttributeError):
        raise BadInput("a delivery names an asset, a version, a licence and a root") from None
    if any(len(part) != 32 for part in parts):
        raise BadInput("asset, licence and content root are 64 hexadecimal digits each")
    who = bytes.fromhex(parse_address(holder)[2:])
    return parts[0] + number + parts[1] + who + parts[2]


@dataclass(frozen=True, slots=True)
class GrantedKeys:
    """The keys that came with a delivery; everything outside them is out of reach.

    Parameters
    ----------
    files
        How many files it opens.
    manifest
        The chunk keys of the sealed manifest.
    """

    files: int
    manifest: Cover
    _files: Cover

    def __repr__(self) -> str:
        return f"GrantedKeys(files={self.files})"

    def file(self, number: int) -> aead.Keys:
        """Return the chunk keys of file `number` from 0 (NotAllowed: not among those granted)."""
        return chunk_keys(self._files.leaf(number))


def make_delivery(
    keys: SealKeys, files: int, manifest_chunks: int, recipient_public_key: bytes, info: bytes
) -> bytes:
    """Return the keys of files 0 to `files` and of the manifest, sealed for one party.

    Parameters
    ----------
    files, manifest_chunks
        How many the version has, at least one each.
    recipient_public_key
        X25519, 32 bytes.
    info
        From :func:`delivery_info`.

    Raises
    ------
    BadInput
        No files or chunks, more than a tree has, or no public key.
    """
    if files < 1 or manifest_chunks < 1:
        raise BadInput("a delivery hands over at least one file and the manifest")
    document = {
        "format": FORMAT,
        "files": files,
        "file_keys": keys.files(files).to_list(),
        "manifest_chunks": manifest_chunks,
        "manifest_keys": Cover(keys.manifest.cover(0, manifest_chunks)).to_list(),
    }
    return hpke.seal(recipient_public_key, canonical.dumps(document), info=_LABEL + info)


def open_delivery(
    receiver: Opener, message: bytes, info: bytes, *, sealed: SealedAsset
) -> GrantedKeys:
    """Return the keys of a delivery.

    Parameters
    ----------
    sealed
        What is to be opened: the keys must be for exactly its objects.

    Raises
    ------
    VerificationError
        Not for this party or not for `info`, altered, or keys of another number of objects.
    """
    names = {"format", "files", "file_keys", "manifest_chunks", "manifest_keys"}
    document = _open(receiver, message, _LABEL + info, FORMAT, names, "a delivery")
    wanted = (len(sealed.files), sealed.manifest.chunks)
    if (document["files"], document["manifest_chunks"]) != wanted:
        raise VerificationError("a delivery's keys are for another number of sealed objects")
    files = _cover(document["file_keys"], wanted[0])
    return GrantedKeys(wanted[0], _cover(document["manifest_keys"], wanted[1]), files)


LEAST_PROBED: Final = 8
"""Chunks an asset must have to be probed: of a smaller one a probe would give too much away."""


def can_probe(sealed: SealedAsset) -> bool:
    """Whether one chunk of an asset is little enough to be shown before it is paid for."""
    return sum(chunk_count(one.size) for one in sealed.files) >= LEAST_PROBED


def probe_seed(block_hash: str, licence: LicenceId, version: int) -> bytes:
    """Return what picks the chunk that the holder of a licence may try, 32 bytes.

    Neither side chooses it: a buyer cannot know the hash of the block that his purchase will be
    in, and asking again picks the same chunk. Who makes the ledger's blocks could.

    Parameters
    ----------
    block_hash
        Of the block that the licence was bought in, ``0x`` and 64 digits.
    """
    about = bytes.fromhex(block_hash.removeprefix("0x")) + bytes.fromhex(licence)
    return sha256(_SEED_LABEL + about + version.to_bytes(8, "big")).digest()


def pick_chunk(sealed: SealedAsset, seed: bytes) -> tuple[int, int]:
    """Return which chunk of which file a probe is of; all chunks alike, empty files never.

    Parameters
    ----------
    seed
        As :func:`probe_seed` gives it.
    """
    ends = list(accumulate(chunk_count(one.size) for one in sealed.files))
    if not ends[-1]:
        return 0, 0
    at = int.from_bytes(sha256(_PICK_LABEL + seed).digest(), "big") % ends[-1]
    number = bisect_right(ends, at)
    return number, at - (ends[number - 1] if number else 0)


@dataclass(frozen=True, slots=True)
class Probe:
    """The key of one chunk, and the proof that what it opens was published.

    Parameters
    ----------
    file, chunk
        Which, both from 0.
    key
        Its key, 32 bytes.
    proof
        That the file is part of the content root.
    nodes
        That the chunk is part of the file: RFC 6962 inclusion proof, none for an empty file.
    """

    file: int
    chunk: int
    key: bytes
    proof: FileProof
    nodes: tuple[bytes, ...]

    def __repr__(self) -> str:
        return f"Probe(file={self.file}, chunk={self.chunk})"

    def check(self, sealed: SealedAsset, ciphertext: bytes, content_root: Digest) -> None:
        """Open the chunk and hold it against the content root.

        Parameters
        ----------
        sealed
            The ciphertext digests that the rest was fetched by.
        ciphertext
            The sealed chunk.

        Raises
        ------
        VerificationError
            It does not open, or is not what was published.
        """
        leaf = self.proof.leaf
        one = sealed.files[self.file]
        if (leaf.index, leaf.count, leaf.size) != (self.file, len(sealed.files), one.size):
            raise self._broken("its proof is of another file")
        self.proof.verify(bytes.fromhex(content_root))
        last = self.chunk == one.chunks - 1
        name = one.object_id.encode()
        try:
            plain = aead.open_chunk(self.key, name, self.chunk, last, ciphertext)
            if one.size:
                digest = hash_function(leaf.algorithm)(plain).digest()
                hashed, count = merkle.leaf_hash(digest), chunk_count(one.size)
                root = self.proof.chunk_root
                merkle.verify_inclusion(hashed, self.chunk, count, self.nodes, root)
            elif len(plain):
                raise VerificationError("an empty file has bytes")
        except VerificationError as error:
            raise self._broken(error.message) from None

    def _broken(self, why: str) -> VerificationError:
        path = self.proof.leaf.path
        return VerificationError(
            f"the probe of '{path}', chunk {self.chunk}, is not what was published: {why}",
            mismatches=(Mismatch("changed", file=path, chunk=self.chunk, detail=why),),
            hint="do not acknowledge; ask for a refund: usufruct licences challenge",
        )


def make_probe(
    keys: SealKeys,
    manifest: Manifest,
    place: tuple[int, int],
    recipient_public_key: bytes,
    info: bytes,
) -> bytes:
    """Return the probe of one chunk (file and chunk number from 0), sealed for one party.

    Raises
    ------
    BadInput
        There is no such chunk, or no public key.
    """
    number, chunk = place
    if not 0 <= number < len(manifest.files):
        raise BadInput(f"there is no file {number}")
    entry = manifest.files[number]
    if not 0 <= chunk < max(1, chunk_count(entry.size)):
        raise BadInput(f"file {number} has no chunk {chunk}")
    nodes: list[bytes] = []
    if entry.size:
        hashes = [merkle.leaf_hash(one) for one in split32(entry.chunk_digests)]
        nodes = merkle.inclusion_proof(hashes, chunk)
    document = {
        "format": PROBE_FORMAT,
        "file": number,
        "chunk": chunk,
        "key": canonical.b64(keys.file(number).leaf(chunk)),
        "proof": prove_file(manifest, entry.path).to_dict(),
        "nodes": fields.join(tuple(nodes)),
    }
    return hpke.seal(recipient_public_key, canonical.dumps(document), info=_PROBE_LABEL + info)


def open_probe(receiver: Opener, message: bytes, info: bytes, place: tuple[int, int]) -> Probe:
    """Return the probe of the chunk that was asked for; :meth:`Probe.check` comes next.

    Raises
    ------
    VerificationError
        Not for this party, for `info` or of this chunk, or malformed.
    """
    names = {"format", "file", "chunk", "key", "proof", "nodes"}
    document = _open(receiver, message, _PROBE_LABEL + info, PROBE_FORMAT, names, "a probe")
    if (document["file"], document["chunk"]) != place:
        raise VerificationError("a probe is of another chunk than the request picks")
    try:
        proof = FileProof.from_dict(document["proof"])
        nodes = fields.hashes(document["nodes"], "chunk's inclusion proof")
        key = canonical.unb64(document["key"])
    except UsageError as error:
        raise VerificationError(f"a probe is malformed: {error.message}") from None
    if len(key) != 32:
        raise VerificationError("a probe's key has 32 bytes")
    return Probe(*place, key, proof, nodes)


def _open(
    receiver: Opener, message: bytes, info: bytes, wanted: str, names: set[str], what: str
) -> dict[str, Any]:
    if len(message) > MAX_DELIVERY:
        raise VerificationError(f"{what} is larger than any can be")
    plain = receiver.hpke_open(message, info)
    try:
        document = canonical.loads(plain, max_bytes=MAX_DELIVERY)
    except BadInput as error:
        raise VerificationError(f"{what} is malformed: {error.message}") from None
    if not isinstance(document, dict) or set(document) != names or document["format"] != wanted:
        raise VerificationError(f"{what} is of another format")
    return document


def _cover(data: Any, stop: int) -> Cover:
    try:
        cover = Cover.from_list(data)
    except BadInput as error:
        raise VerificationError(f"a delivery is malformed: {error.message}") from None
    at = 0
    for node in cover.nodes:
        if node.start != at:
            break
        at = node.stop
    if at != stop or cover.nodes[-1].stop != stop:
        raise VerificationError("a delivery's keys do not cover what it says")
    return cover
