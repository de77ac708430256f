"""A stranger's list of sealed objects: what must fit together before anything goes by it."""

from __future__ import annotations

import re

from usufruct.assets.sealing import SealedAsset
from usufruct.crypto import aead
from usufruct.errors import BadInput
from usufruct.evidence.content import ALGORITHMS, MAX_MANIFEST_BYTES

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}\Z")


def check_list(sealed: SealedAsset) -> None:
    """Refuse a list of sealed objects unless its parts fit together.

    Raises
    ------
    BadInput
        A name that no vault holds, or twice; sizes or digests that are not those of its chunks.
    """
    names = {check_name(one.object_id) for one in sealed.objects}
    if len(names) != len(sealed.objects):
        raise BadInput("it names a sealed object twice")
    for one in sealed.objects:
        if one.size >= 2**53 or one.sealed_size != aead.sealed_size(one.size):
            raise BadInput("the sizes of a sealed object do not fit together")
        if one.chunks != aead.chunk_count(one.size) or one.algorithm not in ALGORITHMS:
            raise BadInput("the digests of a sealed object are not those of its chunks")
    if sealed.manifest.size > MAX_MANIFEST_BYTES:
        raise BadInput("its manifest is larger than any can be")


def check_name(object_id: str) -> str:
    """Return the name of a sealed object if it can stand in a path (BadInput)."""
    if not isinstance(object_id, str) or not _NAME.match(object_id):
        raise BadInput("it names a sealed object that no vault holds")
    return object_id
