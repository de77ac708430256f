"""Who may buy: a list of addresses behind one hash on the ledger, with a proof for each buyer.

The tree is the one of OpenZeppelin's ``StandardMerkleTree`` over single addresses, so their tools
make and read the same roots, and their Solidity ``MerkleProof`` checks the proofs: a leaf is
keccak256(keccak256(abi.encode(address))), leaves are sorted, and the two hashes of a pair are
sorted before they are hashed together.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import Final

from usufruct.crypto.hash import keccak256
from usufruct.errors import BadInput, NotFound
from usufruct.types import ZERO_ADDRESS, Address, parse_address
from usufruct.units import MIB

ANYONE: Final = bytes(32)
"""What an offer without a list carries in place of a root."""

MAX_LINES: Final = 1_000_000
MAX_FILE: Final = 64 * MIB
MAX_PROOF: Final = 32
_MAX_LINE: Final = 256


class AllowList:
    """A Merkle tree over the addresses that may buy; doubled ones count once.

    Parameters
    ----------
    addresses
        In any order and letter case; at least one, at most a million.

    Raises
    ------
    BadInput
        Something that is no address, the zero address, none, or too many.
    """

    __slots__ = ("_hashes", "addresses")

    def __init__(self, addresses: Iterable[str]) -> None:
        found: set[Address] = set()
        for text in addresses:
            found.add(_buyer(text))
            if len(found) > MAX_LINES:
                raise BadInput(f"an allow list has at most {MAX_LINES} addresses")
        if not found:
            raise BadInput("the allow list is empty", hint="leave it out to sell to anyone")
        self.addresses = tuple(sorted(found))
        leaves = sorted(map(leaf_hash, self.addresses))
        # one array: node i has the children 2i + 1 and 2i + 2, the leaves stand at the end
        inner = len(leaves) - 1
        hashes = [b""] * inner + leaves[::-1]
        for i in range(inner - 1, -1, -1):
            hashes[i] = pair_hash(hashes[2 * i + 1], hashes[2 * i + 2])
        self._hashes = hashes

    @classmethod
    def from_bytes(cls, data: bytes) -> AllowList:
        """Read a list: one address a line, ``#`` begins a comment, empty lines count nothing.

        Raises
        ------
        BadInput
            Not such a list; the message names the line.
        """
        if len(data) > MAX_FILE:
            raise BadInput(f"the allow list has {len(data)} bytes, more than {MAX_FILE}")
        lines = data.removeprefix(b"\xef\xbb\xbf").splitlines()
        if len(lines) > MAX_LINES:
            raise BadInput(f"the allow list has {len(lines)} lines, more than {MAX_LINES}")
        found = []
        for number, line in enumerate(lines, 1):
            word = line.partition(b"#")[0].strip()
            if not word:
                continue
            try:
                found.append(_buyer(word[:_MAX_LINE].decode("ascii")))
            except (BadInput, UnicodeDecodeError):
                raise BadInput(
                    f"line {number} of the allow list is not an address that can buy: "
                    f"{word[:64].decode('ascii', 'replace')!a}",
                    hint="one address a line: 0x and 40 hexadecimal digits, not all zero",
                ) from None
        return cls(found)

    @property
    def root(self) -> bytes:
        """What the offer carries, 32 bytes."""
        return self._hashes[0]

    def __len__(self) -> int:
        return len(self.addresses)

    def __contains__(self, address: object) -> bool:
        return self._place(address) is not None

    def proof(self, address: str) -> tuple[bytes, ...]:
        """Return the hashes that show `address` to be listed, from its leaf up.

        Raises
        ------
        NotFound
            It is not on the list.
        """
        place = self._place(address)
        if place is None:
            raise NotFound(
                f"{address} is not on the allow list", hint="ask the seller to put it there"
            )
        path = []
        while place:
            path.append(self._hashes[place - 1 if place % 2 == 0 else place + 1])
            place = (place - 1) // 2
        return tuple(path)

    def _place(self, address: object) -> int | None:
        if not isinstance(address, str):
            return None
        address = address.lower()
        index = bisect_left(self.addresses, address)
        if index == len(self.addresses) or self.addresses[index] != address:
            return None
        # the leaves stand in falling order at the end of the array
        wanted, first = leaf_hash(Address(address)), len(self.addresses) - 1
        low, high = first, len(self._hashes)
        while low < high:
            middle = (low + high) // 2
            if self._hashes[middle] > wanted:
                low = middle + 1
            else:
                high = middle
        return low


def leaf_hash(address: Address) -> bytes:
    """Return an address's leaf, hashed twice so that no inner node can pass for one."""
    return keccak256(keccak256(bytes(12) + bytes.fromhex(address[2:])))


def pair_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of two nodes, the smaller first."""
    return keccak256(left + right if left < right else right + left)


def is_listed(root: bytes, address: str, proof: Sequence[bytes]) -> bool:
    """Whether `proof` shows `address` on the list behind `root`, as the contract decides it.

    Any malformed proof is a no; without a list (:data:`ANYONE`) everybody is.
    """
    if root == ANYONE:
        return True
    if len(proof) > MAX_PROOF or any(len(item) != 32 for item in proof):
        return False
    try:
        value = leaf_hash(parse_address(address))
    except BadInput:
        return False
    for sibling in proof:
        value = pair_hash(value, sibling)
    return value == root


def _buyer(text: str) -> Address:
    address = parse_address(text)
    if address == ZERO_ADDRESS:
        raise BadInput("the zero address cannot buy")
    return address
