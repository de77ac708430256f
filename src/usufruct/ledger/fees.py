"""What to offer for gas: enough for the next block, never above a limit.

Sources: EIP-1559, ``eth_feeHistory`` of execution-apis. Nodes replace a pending transaction only
for a fee at least 10 % higher, so 12.5 % more is offered.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from usufruct.errors import Unavailable
from usufruct.ledger import answers
from usufruct.ledger.transport import RpcError, Transport
from usufruct.units import WEI_PER_GWEI, format_amount

FEE_LIMIT: Final = 1_000 * WEI_PER_GWEI
"""The highest fee for one unit of gas that is ever offered unless the caller says otherwise."""

_LEAST_TIP = WEI_PER_GWEI // 1_000
_HISTORY = 10


@dataclass(frozen=True, slots=True)
class Fees:
    """What is offered for a unit of gas, in wei (EIP-1559).

    Parameters
    ----------
    most
        ``maxFeePerGas``: base fee and tip together never cost more.
    tip
        ``maxPriorityFeePerGas``.
    """

    most: int
    tip: int

    def raised(self, fresh: Fees) -> Fees:
        """Return fees that replace these: 12.5 % more, or `fresh` where that is higher."""
        return Fees(
            max(_eighth_more(self.most), fresh.most), max(_eighth_more(self.tip), fresh.tip)
        )


def suggest_fees(transport: Transport, limit: int = FEE_LIMIT) -> Fees:
    """Return fees for the next block: twice its base fee and the usual tip.

    Raises
    ------
    Unavailable
        The ledger asks for more than `limit` wei.
    BadAnswer
        The endpoint answers nonsense.
    """
    try:
        history = transport.request("eth_feeHistory", [hex(_HISTORY), "latest", [50]])
    except RpcError:
        # endpoints without a history still name a price
        price = answers.quantity(transport.request("eth_gasPrice", []), "the gas price")
        base, tips = price, []
    else:
        fields = answers.mapping(history, "the fee history")
        bases = answers.sequence(fields.get("baseFeePerGas"), "base fees", limit=2 * _HISTORY)
        if not bases:
            raise answers.BadAnswer("the fee history is empty")
        base = answers.quantity(bases[-1], "a base fee")
        tips = _tips(fields.get("reward"))
    tip = max(tips[len(tips) // 2] if tips else 0, _LEAST_TIP)
    if base + tip > limit:
        raise Unavailable(
            f"the ledger asks {format_amount(base + tip, 9)} gwei for a unit of gas; "
            f"the limit is {format_amount(limit, 9)}",
            hint="wait until the ledger is less busy, or raise the limit",
        )
    return Fees(min(2 * base + tip, limit), tip)


def _tips(rewards: Any) -> list[int]:
    if rewards is None:
        return []
    tips = []
    for row in answers.sequence(rewards, "the rewards", limit=2 * _HISTORY):
        for value in answers.sequence(row, "a block's rewards", limit=1):
            tips.append(answers.quantity(value, "a reward"))
    return sorted(tip for tip in tips if tip)


def _eighth_more(fee: int) -> int:
    return fee + -(-fee // 8)
