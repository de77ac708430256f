"""Hand over the keys of some chunks or rows: the fewest subtree keys, in one HPKE message."""

from __future__ import annotations

from typing import Protocol

from usufruct.crypto import canonical, hpke
from usufruct.crypto.keytree import Cover, KeyTree
from usufruct.errors import BadInput, VerificationError

FORMAT = "usufruct/grant/v1"
MAX_GRANT = 64 * 1024
"""Largest sealed grant in bytes; a cover has at most two nodes a level."""

_LABEL = b"usufruct/grant/v1\0"


class Opener(Protocol):
    """Who a grant is for: an ``Identity``."""

    def hpke_open(self, sealed: bytes, info: bytes, aad: bytes = b"") -> bytes:
        """Return the plaintext of an HPKE message to this party."""
        ...


def make_grant(
    key_tree: KeyTree, start: int, stop: int, recipient_public_key: bytes, info: bytes
) -> bytes:
    """Return the keys of leaves `start` to `stop` (exclusive), sealed for one party.

    Parameters
    ----------
    recipient_public_key
        X25519, 32 bytes.
    info
        What is granted and to whom (asset, version, licence); the receiver must name the same.

    Raises
    ------
    BadInput
        An empty range, leaves outside the tree, or no public key.
    """
    if not start < stop:
        raise BadInput("a grant hands over at least one key")
    nodes = Cover(key_tree.cover(start, stop)).to_list()
    document = {"format": FORMAT, "start": start, "stop": stop, "nodes": nodes}
    return hpke.seal(recipient_public_key, canonical.dumps(document), info=_LABEL + info)


def open_grant(identity: Opener, sealed: bytes, info: bytes) -> Cover:
    """Return the keys of a grant.

    Raises
    ------
    VerificationError
        Not for this party or not for `info`, altered, or its keys do not cover what it says.
    """
    if len(sealed) > MAX_GRANT:
        raise VerificationError("a grant is larger than any can be")
    plain = identity.hpke_open(sealed, _LABEL + info)
    try:
        document = canonical.loads(plain, max_bytes=MAX_GRANT)
        if not isinstance(document, dict) or set(document) != {"format", "start", "stop", "nodes"}:
            raise BadInput("not the fields of a grant")
        cover = Cover.from_list(document["nodes"])
    except BadInput as error:
        raise VerificationError(f"a grant is malformed: {error.message}") from None
    at = document["start"]
    if document["format"] != FORMAT or type(at) is not int or not cover.nodes:
        raise VerificationError("a grant is of another format")
    for node in cover.nodes:
        if node.start != at:
            raise VerificationError("a grant's keys do not cover what it says")
        at = node.stop
    if at != document["stop"]:
        raise VerificationError("a grant's keys do not cover what it says")
    return cover
