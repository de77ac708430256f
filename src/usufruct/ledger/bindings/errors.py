"""A contract's refusal as a typed error with advice."""

from __future__ import annotations

from typing import Final

from usufruct.errors import BadInput, TransactionReverted
from usufruct.ledger.bindings.channel_errors import CHANNEL_REFUSALS
from usufruct.ledger.bindings.market_errors import MARKET_REFUSALS
from usufruct.ledger.bindings.refusals import Refusal as Refusal
from usufruct.ledger.bindings.refusals import refusal
from usufruct.ledger.bindings.token_errors import TOKEN_REFUSALS

_OWN = "only the owner may do this; `usufruct asset show` names the owner"

REFUSALS: Final = dict(
    (
        # Parties
        refusal("fbd849c6", "ZeroKey", "", "a party's key is all zeros"),
        refusal(
            "48882cfa",
            "BadName",
            "uint256 length, uint256 limit",
            "a party's name has {length} bytes; it needs 1 to {limit}",
            "choose another name",
        ),
        refusal(
            "ec3fe1b4",
            "NodeTooLong",
            "uint256 length, uint256 limit",
            "the node address has {length} bytes; at most {limit} are allowed",
        ),
        # Anchors
        refusal(
            "7dbd396e",
            "NotGrowing",
            "bytes32 name, uint64 anchored, uint64 size",
            "the log is anchored at {anchored} entries already, so {size} cannot be anchored",
            "append to the log first; if it is shorter than its anchor, it was cut or restored "
            "from an old copy",
        ),
        # Assets
        refusal(
            "cb3e2772",
            "UnknownAsset",
            "asset asset",
            "the asset {asset} is not on this ledger",
            "register it first, with the account and salt that its id was made from",
        ),
        refusal(
            "33168ca0", "AssetExists", "asset asset", "the asset {asset} is registered already"
        ),
        refusal(
            "c79bcb68",
            "NotAssetOwner",
            "asset asset, address owner, address caller",
            "{caller} does not own the asset {asset}; {owner} does",
            _OWN,
        ),
        refusal("bd3c9089", "UnknownKind", "uint8 kind", "the ledger knows no kind {kind}"),
        refusal(
            "d044ed86",
            "KindDiffers",
            "asset asset, uint8 kind",
            "the asset {asset} is a {kind}, and that never changes",
            "publish as that kind, or register another asset",
        ),
        refusal(
            "f03468a6",
            "ParentsDiffer",
            "asset asset",
            "the asset {asset} was registered with other parents, and those never change",
            "leave the parents out, or register another asset",
        ),
        refusal(
            "69da99b7",
            "SplitDiffers",
            "asset asset, bytes32 split",
            "the split of the asset {asset} is fixed and is another",
            "leave the split out",
        ),
        refusal(
            "42db51c1",
            "TooManyParents",
            "uint256 count, uint256 limit",
            "{count} parents are too many; at most {limit} are allowed",
        ),
        refusal(
            "8e2358b2",
            "ParentsNotAscending",
            "asset parent",
            "the parents are not in ascending order, or {parent} is named twice",
        ),
        refusal(
            "196d5d66",
            "UnknownParent",
            "asset parent",
            "the parent {parent} is not on this ledger",
            "register the parent first",
        ),
        refusal(
            "bf341b2f",
            "RevokedParent",
            "asset parent",
            "the parent {parent} is revoked, so nothing new may be made from it",
        ),
        refusal("b263ae73", "ZeroRoot", "", "a version's content root is all zeros"),
        refusal(
            "a99e90bb",
            "UriTooLong",
            "uint256 length, uint256 limit",
            "the URI has {length} bytes; at most {limit} are allowed",
        ),
        refusal(
            "2cbcc2c0",
            "NotPublishable",
            "asset asset, uint8 state",
            "the asset {asset} is {state} and takes no new version",
            "a retired asset can be brought back by its owner, a revoked one cannot",
        ),
        refusal(
            "b03de5fe",
            "IllegalTransition",
            "asset asset, uint8 from, uint8 to",
            "the asset {asset} is {from} and cannot become {to}",
        ),
        refusal(
            "09ef1558",
            "NoLicences",
            "",
            "this ledger's contracts have no place for offers",
            "publish without offers, or join a network whose contracts include Licences",
        ),
        # ERC-721, as OpenZeppelin has them
        refusal(
            "64283d7b",
            "ERC721IncorrectOwner",
            "address sender, asset asset, address owner",
            "{sender} does not own the asset {asset}; {owner} does",
            _OWN,
        ),
        refusal(
            "177e802f",
            "ERC721InsufficientApproval",
            "address operator, asset asset",
            "{operator} has no right to move the asset {asset}",
            _OWN,
        ),
        refusal("7e273289", "ERC721NonexistentToken", "asset asset", "there is no asset {asset}"),
        refusal(
            "64a0ae92",
            "ERC721InvalidReceiver",
            "address receiver",
            "{receiver} cannot receive an asset",
        ),
        refusal(
            "a9fbf51f", "ERC721InvalidApprover", "address approver", "{approver} cannot approve"
        ),
        refusal(
            "5b08ba18",
            "ERC721InvalidOperator",
            "address operator",
            "{operator} cannot be an operator",
        ),
        refusal("89c62b64", "ERC721InvalidOwner", "address owner", "{owner} cannot own assets"),
        refusal(
            "73c6ac6e", "ERC721InvalidSender", "address sender", "{sender} cannot send an asset"
        ),
        # What Solidity itself throws
        refusal("08c379a0", "Error", "string reason", "the contract refused: {reason}"),
        refusal(
            "4e487b71",
            "Panic",
            "uint256 code",
            "the contract stopped on an internal check ({code})",
        ),
        *MARKET_REFUSALS,
        *CHANNEL_REFUSALS,
        *TOKEN_REFUSALS,
    )
)
"""Every refusal known here, by selector."""


def decode_revert(data: bytes) -> TransactionReverted:
    """Return the typed error for the data of a revert; never raises.

    Parameters
    ----------
    data
        What the EVM returned: four bytes that choose the error, then its values; may be empty.
    """
    refusal = REFUSALS.get(data[:4])
    if refusal is not None:
        try:
            return refusal.error(data[4:])
        except BadInput:
            pass
    if not data:
        return TransactionReverted(
            "the transaction was refused without a reason",
            hint="too little gas, or no contract at this address",
        )
    return TransactionReverted(
        f"the transaction was refused by an error unknown here: 0x{data[:68].hex()}",
        hint="the contract may be newer than this version of usufruct",
    )
