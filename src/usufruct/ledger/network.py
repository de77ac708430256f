"""The network file: who operates a shared ledger, where it answers and what it must look like.

A DSSE envelope over canonical JSON, signed by the operator whose identity it carries. A reader
learns from it which chain and which contract code to insist on; whether to trust this operator
is the reader's own decision, so :func:`read_network` can be told whose file it must be.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from usufruct.crypto import canonical, dsse
from usufruct.crypto.identity import PublicIdentity, verify_binding
from usufruct.errors import BadInput, NotFound, VerificationError
from usufruct.ports import Signer
from usufruct.types import Address, parse_address

FORMAT: Final = "usufruct/network/v1"
PAYLOAD_TYPE: Final = "application/vnd.usufruct.network.v1+json"
MAX_BYTES: Final = 256 * 1024
FINALITY_MODES: Final = ("latest", "finalized", "confirmations")
_MAX_URLS = 16
_MAX_CONTRACTS = 64
_MAX_CONFIRMATIONS = 10_000
_HASH = re.compile(r"0x[0-9a-f]{64}\Z")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9]{0,31}\Z")
_URL = re.compile(r"https?://[!-~]{1,500}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\Z")
_FIELDS = frozenset(
    [
        "format",
        "name",
        "chain_id",
        "rpc",
        "genesis_hash",
        "contracts",
        "finality",
        "operator",
        "created",
        "start_block",
    ]
)


@dataclass(frozen=True, slots=True)
class Network:
    """A ledger that several parties share.

    Parameters
    ----------
    name
        What people call it, 1 to 64 printable characters.
    chain_id
        EIP-155 chain id, 1 to 2^53 - 1.
    rpc
        JSON-RPC URLs, best first; none for a ledger embedded in one home.
    genesis_hash
        Hash of block 0, ``0x`` and 64 digits.
    contracts
        By name (``Parties``): ``address`` and ``code_hash``, keccak256 of the deployed code.
    finality
        ``mode``: ``latest``, ``finalized`` or ``confirmations``; ``confirmations``: how many
        blocks stand on a transaction's own, itself included, 0 in the other modes.
    operator
        Who signed.
    created
        When, RFC 3339 in UTC.
    start_block
        No contract is older, so an index begins here.

    Raises
    ------
    BadInput
        A field of another form.
    """

    name: str
    chain_id: int
    rpc: tuple[str, ...]
    genesis_hash: str
    contracts: Mapping[str, Mapping[str, str]]
    finality: Mapping[str, Any]
    operator: PublicIdentity
    created: str
    start_block: int = 0

    def __post_init__(self) -> None:
        name = self.name
        if not isinstance(name, str) or not 0 < len(name) <= 64 or not name.isprintable():
            raise BadInput("a network's name is 1 to 64 printable characters")
        if type(self.chain_id) is not int or not 0 < self.chain_id < 2**53:
            raise BadInput("a network's chain id is a whole number from 1 to 2^53 - 1")
        if not isinstance(self.rpc, tuple) or len(self.rpc) > _MAX_URLS:
            raise BadInput(f"a network has at most {_MAX_URLS} URLs")
        if not all(isinstance(url, str) and _URL.match(url) for url in self.rpc):
            raise BadInput("a network's URLs begin with http:// or https://")
        if not _matches(_HASH, self.genesis_hash):
            raise BadInput("a network's genesis hash is 0x and 64 hexadecimal digits")
        if not isinstance(self.operator, PublicIdentity):
            raise BadInput("a network's operator is a party")
        if not _matches(_TIME, self.created):
            raise BadInput("a network's time of creation is like 2026-01-31T12:00:00Z")
        if type(self.start_block) is not int or not 0 <= self.start_block < 2**53:
            raise BadInput("a network's start block is a whole number")
        _check_contracts(self.contracts)
        _check_finality(self.finality)

    def address(self, contract: str) -> Address:
        """Return where a contract stands.

        Raises
        ------
        NotFound
            This network has no such contract.
        """
        try:
            return Address(self.contracts[contract]["address"])
        except KeyError:
            raise NotFound(
                f"the network '{self.name}' has no contract {contract}",
                hint="its operator may have set it up with an older version of usufruct",
            ) from None

    def to_dict(self) -> dict[str, Any]:
        """Return plain data for a canonical document."""
        return {
            "format": FORMAT,
            "name": self.name,
            "chain_id": self.chain_id,
            "rpc": list(self.rpc),
            "genesis_hash": self.genesis_hash,
            "contracts": {name: dict(entry) for name, entry in self.contracts.items()},
            "finality": dict(self.finality),
            "operator": self.operator.to_dict(),
            "created": self.created,
            "start_block": self.start_block,
        }

    @classmethod
    def from_dict(cls, data: Any) -> Network:
        """Return the network that `to_dict` gave (BadInput: anything else)."""
        if not isinstance(data, dict) or data.get("format") != FORMAT:
            raise BadInput(
                "this is not a network file that this version reads", hint=f"its format is {FORMAT}"
            )
        if set(data) != _FIELDS or not isinstance(data["rpc"], list):
            raise BadInput("a network file has exactly the fields of its format")
        fields = {key: value for key, value in data.items() if key != "format"}
        operator = PublicIdentity.from_dict(fields.pop("operator"))
        return cls(**{**fields, "rpc": tuple(fields["rpc"]), "operator": operator})


def sign_network(network: Network, signer: Signer) -> bytes:
    """Return the network file: a DSSE envelope as canonical JSON.

    Raises
    ------
    BadInput
        The signer is not the operator.
    """
    if signer.public_key != network.operator.signing_key:
        raise BadInput("only the operator a network file names can sign it")
    payload = canonical.dumps(network.to_dict())
    return dsse.sign(PAYLOAD_TYPE, payload, [signer]).to_bytes()


def read_network(data: bytes, *, operator: str | None = None) -> Network:
    """Return the network that an untrusted network file describes.

    Parameters
    ----------
    operator
        The operator's account address, when the caller knows whose file it must be.

    Raises
    ------
    BadInput
        Not a network file.
    VerificationError
        The operator did not sign it, does not own the account, or is another than expected.
    """
    envelope = dsse.Envelope.from_bytes(data, max_bytes=MAX_BYTES)
    if envelope.payload_type != PAYLOAD_TYPE:
        raise BadInput("this is a signed document, but not a network file")
    network = Network.from_dict(canonical.loads(envelope.payload, max_bytes=MAX_BYTES, max_depth=6))
    party = network.operator
    if operator is not None and parse_address(operator) != party.address:
        raise VerificationError(
            f"the network file is signed by {party.address}, not by {operator}",
            hint="ask the operator for the file over a channel you trust",
        )
    verify_binding(party)
    dsse.verify(envelope, {party.key_id: party.signing_key})
    return network


def _check_contracts(contracts: Any) -> None:
    if not isinstance(contracts, Mapping) or len(contracts) > _MAX_CONTRACTS:
        raise BadInput("a network's contracts are few and have names")
    for name, entry in contracts.items():
        if not _matches(_NAME, name):
            raise BadInput("a contract's name is 1 to 32 letters and digits")
        if not isinstance(entry, Mapping) or set(entry) != {"address", "code_hash"}:
            raise BadInput(f"the contract {name} has an address and a code hash")
        if parse_address(entry["address"]) != entry["address"]:
            raise BadInput(f"the address of the contract {name} is in lower case")
        if not _matches(_HASH, entry["code_hash"]):
            raise BadInput(f"the code hash of {name} is 0x and 64 hexadecimal digits")


def _check_finality(finality: Any) -> None:
    if not isinstance(finality, Mapping) or set(finality) != {"mode", "confirmations"}:
        raise BadInput("a network's finality has a mode and a number of confirmations")
    mode, count = finality["mode"], finality["confirmations"]
    if mode not in FINALITY_MODES:
        raise BadInput(f"a network's finality mode is one of {', '.join(FINALITY_MODES)}")
    least, most = (1, _MAX_CONFIRMATIONS) if mode == "confirmations" else (0, 0)
    if type(count) is not int or not least <= count <= most:
        raise BadInput(f"in the mode {mode} confirmations are from {least} to {most}")


def _matches(pattern: re.Pattern[str], value: object) -> bool:
    return isinstance(value, str) and pattern.match(value) is not None
