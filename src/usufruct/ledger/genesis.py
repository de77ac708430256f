"""The first block of an embedded ledger, as geth's ``genesis.json``; versioned.

anvil's genesis header does not commit to the balances and code it starts with: its state root
is always the empty one [M]. So the fee recipient (``coinbase``), which the header does hold, is
a digest of everything else here. The genesis hash therefore names the whole genesis, as
:class:`Network` needs. The priority fees paid there are burnt: nobody has that address's key.

Version 2 also holds the contracts that public clients look for at addresses of their own: x402's
batch settlement with its collector of deposits, and Multicall3. A ledger keeps the genesis, and so
the code, that it began with; what an older version made stays as it is.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from usufruct.errors import BadInput
from usufruct.ledger.bindings import channels
from usufruct.types import Address, parse_address
from usufruct.units import WEI_PER_ETHER, WEI_PER_GWEI

VERSION = 2
"""What :func:`make_genesis` makes; versions from 1 on are opened."""

GAS_LIMIT = 100_000_000
"""Gas a block holds: 500 transactions of 200,000."""

TREASURY_WEI = 10**9 * WEI_PER_ETHER
"""What the treasury starts with, in wei."""

_PLACES = {
    "Channels": channels.CHANNELS,
    "DepositCollector": channels.COLLECTOR,
    "Multicall3": channels.MULTICALL,
}
_LABEL = b"usufruct/genesis/v1\0"  # of how the digest is made, which version 2 left alone
_FORKS = (
    *(name + "Block" for name in ("homestead", "eip150", "eip155", "eip158", "byzantium")),
    *(name + "Block" for name in ("constantinople", "petersburg", "istanbul", "berlin", "london")),
    "terminalTotalDifficulty",
    "shanghaiTime",
    "cancunTime",
)


def make_genesis(chain_id: int, treasury: Address, timestamp: int) -> dict[str, Any]:
    """Return genesis version 2: every fork to Cancun from the start, a funded treasury, contracts.

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
        "alloc": {parse_address(treasury): {"balance": hex(TREASURY_WEI)}} | _contracts(),
    }
    return genesis | {"coinbase": "0x" + genesis_digest(genesis)[12:].hex()}


def contracts_of(genesis: dict[str, Any]) -> dict[str, Address]:
    """Return where the contracts stand that a ledger's first block holds, by name.

    None in version 1.
    """
    if genesis["config"]["usufructGenesis"] < 2:
        return {}
    return dict(_PLACES)


def genesis_digest(genesis: dict[str, Any]) -> bytes:
    """Return SHA-256 over a genesis without its ``coinbase``, 32 bytes."""
    rest = {key: value for key, value in genesis.items() if key != "coinbase"}
    text = json.dumps(rest, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(_LABEL + text.encode("utf-8")).digest()


def check_genesis(genesis: Any) -> None:
    """Refuse a genesis that :func:`make_genesis` of this version or an older one did not make.

    Raises
    ------
    BadInput
        Missing fields, a newer version, or a ``coinbase`` that is not the digest of the rest.
    """
    try:
        version = genesis["config"]["usufructGenesis"]
        digest = genesis_digest(genesis)
        coinbase = genesis["coinbase"]
        numbers = [int(genesis[key], 16) for key in ("timestamp", "gasLimit", "baseFeePerGas")]
        chain_id = genesis["config"]["chainId"]
        codes = [genesis["alloc"].get(place, {}).get("code", "") for place in _PLACES.values()]
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise BadInput("this is not a genesis of an embedded ledger") from None
    if type(version) is not int or not 1 <= version <= VERSION:
        raise BadInput(
            f"the genesis has version {version}, and this program knows versions to {VERSION}",
            hint="pip install -U usufruct",
        )
    if coinbase != "0x" + digest[12:].hex():
        raise BadInput("the genesis was changed: its fee recipient is not the digest of the rest")
    # which code, the digest says: it is what the ledger began with, not what ships today
    if version >= 2 and not all(isinstance(code, str) and len(code) > 2 for code in codes):
        raise BadInput("the genesis lacks a contract that its version has")
    if not isinstance(chain_id, int) or not 0 < chain_id < 2**53 or min(numbers) <= 0:
        raise BadInput("the genesis has a value out of range")


def _contracts() -> dict[Address, dict[str, str]]:
    codes = {
        "Channels": channels.runtime_code(),
        "DepositCollector": channels.collector_code(),
        "Multicall3": channels.multicall_code(),
    }
    return {
        place: {"balance": "0x0", "code": "0x" + codes[name].hex()}
        for name, place in _PLACES.items()
    }
