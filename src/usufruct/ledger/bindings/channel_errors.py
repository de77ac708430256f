"""What the contracts Channels and DepositCollector refuse."""

from __future__ import annotations

from typing import Final

from usufruct.ledger.bindings.refusals import refusal

CHANNEL_REFUSALS: Final = (
    # Channels
    refusal(
        "65e35bc6",
        "BadConfig",
        "uint8 why",
        "the channel is not well made (reason {why})",
        "1: no payer, 2: no receiver, 3: no authorizer of the receiver, 4: a delay below "
        "15 minutes or above 30 days, 5: the token is no contract",
    ),
    refusal(
        "f792180a",
        "NoAmount",
        "",
        "the amount is nothing, or nothing is left",
        "deposit, withdraw or refund more than zero",
    ),
    refusal(
        "6c5d4c57",
        "NotReceiver",
        "bytes32 channel, address caller",
        "{caller} is not the receiver of the channel {channel}, nor its authorizer",
        "use the account that the channel names",
    ),
    refusal(
        "db637c52",
        "NotPayer",
        "bytes32 channel, address caller",
        "{caller} is not the payer of the channel {channel}, nor its authorizer",
        "use the account that opened the channel",
    ),
    refusal(
        "3c32b9be",
        "BadVoucher",
        "bytes32 channel",
        "the voucher of the channel {channel} is not signed by its payer",
        "leave the row out; check a voucher before serving what it pays for",
    ),
    refusal(
        "be479840",
        "AboveVoucher",
        "bytes32 channel, uint128 total, uint128 maximum",
        "{total} is claimed of the channel {channel}, and the voucher allows {maximum}",
        "claim what the newest voucher allows",
    ),
    refusal(
        "d66a4654",
        "AboveBalance",
        "bytes32 channel, uint256 asked, uint256 available",
        "{asked} is asked of the channel {channel}, and {available} is possible",
        "ask for less; the payer may have taken money back",
    ),
    refusal(
        "4a0bfec1",
        "NotAuthorized",
        "address authorizer",
        "the signature is not that of the receiver's authorizer {authorizer}",
        "have it sign exactly this batch or refund, on this ledger",
    ),
    refusal(
        "f023dc83",
        "MixedBatch",
        "",
        "the rows of a signed batch have several authorizers, or there is none",
        "send one batch for each authorizer",
    ),
    refusal(
        "9f1b671d",
        "BadRows",
        "uint256 length",
        "{length} bytes are not packed rows",
        "a row has 173 bytes",
    ),
    refusal(
        "7a9a6dbd",
        "WrongNonce",
        "bytes32 channel, uint256 nonce, uint256 given",
        "the next refund of the channel {channel} has the nonce {nonce}, not {given}",
        "sign it anew with this nonce",
    ),
    refusal(
        "22924e4d",
        "WithdrawalPending",
        "bytes32 channel, uint40 time",
        "a withdrawal from the channel {channel} is pending until {time}",
        "finish it then, or let the payer itself begin it anew",
    ),
    refusal(
        "0e11108c",
        "WithdrawalNotDue",
        "bytes32 channel, uint40 time",
        "the withdrawal from the channel {channel} is not due: {time}",
        "ask for a withdrawal first, and wait until the delay has passed",
    ),
    # DepositCollector
    refusal(
        "15e766eb",
        "NotChannels",
        "address caller",
        "only the contract Channels may fetch deposits, not {caller}",
        "deposit through Channels",
    ),
    # What OpenZeppelin's helpers throw
    refusal(
        "9996b315",
        "AddressEmptyCode",
        "address target",
        "there is no contract at {target}",
    ),
)
"""Selector and refusal of each error of these contracts."""
