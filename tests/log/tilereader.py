"""An outside judge: reads checkpoint and tiles as c2sp.org/tlog-tiles says, with nothing of ours.

Written from the specification; it knows only a folder with `checkpoint` and `tile/`.
"""

import base64
import hashlib
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey


def H(data):
    return hashlib.sha256(data).digest()


class TileReader:
    def __init__(self, folder: Path, origin: str, public_key: bytes):
        self.folder = folder
        note = (folder / "checkpoint").read_bytes().decode()
        text, signatures = note.split("\n\n")
        text += "\n"
        name, blob = signatures.removeprefix("\u2014 ").rstrip("\n").split(" ")
        raw = base64.b64decode(blob)
        assert name == origin
        assert raw[:4] == H(origin.encode() + b"\n\x01" + public_key)[:4]
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw[4:], text.encode())
        lines = text.split("\n")
        assert lines[0] == origin
        self.size = int(lines[1])
        self.root = base64.b64decode(lines[2])

    def path(self, number, width):
        text = f"{number % 1000:03}"
        while number >= 1000:
            number //= 1000
            text = f"x{number % 1000:03}/" + text
        return text if width == 256 else f"{text}.p/{width}"

    def read(self, folder, number, width):
        """A partial tile may be gone once the full one is there: clients then take that."""
        try:
            return (self.folder / folder / self.path(number, width)).read_bytes()
        except FileNotFoundError:
            if width == 256:
                raise
            return (self.folder / folder / self.path(number, 256)).read_bytes()

    def tile(self, level, number):
        hashes = self.size // 256**level
        width = min(256, hashes - number * 256)
        data = self.read(f"tile/{level}", number, width)[: 32 * width]
        assert len(data) == 32 * width
        return [data[i : i + 32] for i in range(0, len(data), 32)]

    def entries(self):
        found = []
        for number in range((self.size + 255) // 256):
            width = min(256, self.size - number * 256)
            data = self.read("tile/entries", number, width)
            at = 0
            for _ in range(width):
                length = int.from_bytes(data[at : at + 2], "big")
                found.append(data[at + 2 : at + 2 + length])
                at += 2 + length
            # a full bundle may stand in for a partial one
            assert at == len(data) or (width < 256 and len(data) == 256 * 34)
        return found

    def leaves(self):
        return [h for n in range((self.size + 255) // 256) for h in self.tile(0, n)]

    def check(self):
        """Everything from the bundles up: leaves, upper tiles, the signed root."""
        entries = self.entries()
        assert all(len(entry) == 32 for entry in entries)
        hashes = [H(b"\0" + entry) for entry in entries]
        assert self.leaves() == hashes
        assert mth(hashes) == self.root
        level, row = 0, hashes
        while len(row) >= 256:
            row = [mth(row[i : i + 256]) for i in range(0, len(row) // 256 * 256, 256)]
            level += 1
            for number in range((len(row) + 255) // 256):
                assert self.tile(level, number) == row[number * 256 : number * 256 + 256]
        return entries


def mth(leaves):
    """RFC 6962 2.1, word for word."""
    if not leaves:
        return H(b"")
    if len(leaves) == 1:
        return leaves[0]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return H(b"\1" + mth(leaves[:k]) + mth(leaves[k:]))


def path(m, leaves):
    """RFC 6962 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m, leaves, b=True):
    """RFC 6962 2.1.2, word for word."""
    n = len(leaves)
    if m == n:
        return [] if b else [mth(leaves)]
    k = 1
    while k * 2 < n:
        k *= 2
    if m <= k:
        return [*proof(m, leaves[:k], b), mth(leaves[k:])]
    return [*proof(m - k, leaves[k:], False), mth(leaves[:k])]
