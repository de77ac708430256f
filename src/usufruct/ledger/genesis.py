"""The first block of an embedded ledger, as geth's ``genesis.json``; versioned.

anvil's genesis header does not commit to the balances and code it starts with: its state root
is always the empty one [M]. So the fee recipient (``coinbase``), which the header does hold, is
a digest of everything else here. The genesis hash therefore names the whole genesis, as
:class:`Network` needs. The priority fees paid there are burnt: nobody has that address's key.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from usufruct.errors import BadInput
from usufruct.types import Address, parse_address
from usufruct.units import WEI_PER_ETHER, WEI_PER_GWEI

VERSION = 1
GAS_LIMIT = 100_000_000
"""Gas a block holds: 500 transactions of 200,000."""

TREASURY_WEI = 10**9 * WEI_PER_ETHER
"""What the treasury starts with, in wei."""

_LABEL = b"usufruct/genesis/v1\0"
_FORKS = (
    *(name + "Block" for name in ("homestead", "eip150", "eip155", "eip158", "byzantium")),
    *(name + "Block" for name in ("constantinople", "petersburg", "istanbul", "berlin", "london")),
    "terminalTotalDifficulty",
    "shanghaiTime",
    "cancunTime",
)


def make_genesis(chain_id: int, treasury: Address, timestamp: int) -> dict[str, Any]:
    """Return genesis version 1: every fork to Cancun from the start, a funded treasury.

    Parameters
    ----------
    chain_id
        The ledger's own EIP-155 chain id, 1 to 2^53 - 1.
    treasury
        The account that gas money for new parties comes from.
    timestamp
        Seconds since 1970 of the first block.

    Raises
    ------
    BadInput
        A value is out of range.
    """
    if isinstance(chain_id, bool) or not isinstance(chain_id, int) or not 0 < chain_id < 2**53:
        raise BadInput("a chain id is a whole number from 1 to 2^53 - 1")
    if isinstance(timestamp, bool) or not isinstance(timestamp, int) or not 0 < timestamp < 2**40:
        raise BadInput("a genesis timestamp is in seconds since 1970")
    genesis: dict[str, Any] = {
        "config": {"chainId": chain_id, "usufructGenesis": VERSION}
        | dict.fromkeys(_FORKS, 0)
        | {"terminalTotalDifficultyPassed": True},
        "nonce": "0x0",
        "timestamp": hex(timestamp),
        "extraData": "0x",
        "gasLimit": hex(GAS_LIMIT),
        "difficulty": "0x0",
        "mixHash": "0x" + "0" * 64,
        "baseFeePerGas": hex(WEI_PER_GWEI),
        "alloc": {parse_address(treasury): {"balance": hex(TREASURY_WEI)}},
    }
    return genesis | {"coinbase": "0x" + genesis_digest(genesis)[12:].hex()}


def genesis_digest(genesis: dict[str, Any]) -> bytes:
    """Return SHA-256 over a genesis without its ``coinbase``, 32 bytes."""
    rest = {key: value for key, value in genesis.items() if key != "coinbase"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(_LABEL + text.encode("utf-8")).digest()


def check_genesis(genesis: Any) -> None:
    """Refuse a genesis that :func:`make_genesis` of this version did not make.

    Raises
    ------
    BadInput
        Missing fields, another version, or a ``coinbase`` that is not the digest of the rest.
    """
    try:
        version = genesis["config"]["usufructGenesis"]
        digest = genesis_digest(genesis)
        coinbase = genesis["coinbase"]
        numbers = [int(genesis[key], 16) for key in ("timestamp", "gasLimit", "baseFeePerGas")]
        chain_id = genesis["config"]["chainId"]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise BadInput("this is not a genesis of an embedded ledger") from None
    if version != VERSION:
        raise BadInput(
            f"the genesis has version {version}, and this program knows version {VERSION}",
            hint="pip install -U usufruct",
        )
    if coinbase != "0x" + digest[12:].hex():
        raise BadInput("the genesis was changed: its fee recipient is not the digest of the rest")
    if not isinstance(chain_id, int) or not 0 < chain_id < 2**53 or min(numbers) <= 0:
        raise BadInput("the genesis has a value out of range")
