"""The embedded ledger: an EVM of one's own that loses nothing it has acknowledged.

A transaction is acknowledged when its block's raw transactions stand in the journal and the
engine has mined them. The engine itself may be killed at any moment: it is started again and
filled from the journal, and callers only wait a little longer.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from usufruct.clock import Clock, system_clock
from usufruct.errors import BadInput, Damaged, EngineDied, NotFound, WrongNetwork
from usufruct.ledger.admission import REJECTED, Submission
from usufruct.ledger.genesis import check_genesis, genesis_digest
from usufruct.ledger.journal import Journal
from usufruct.ledger.miner import Miner
from usufruct.ledger.rawtx import MAX_RAW, read_transaction
from usufruct.ledger.replica import ForeignTransaction, Replica
from usufruct.ledger.transport import Call, RpcError
from usufruct.store import HomeLock, make_folder, read_bytes, write_atomic

__all__ = ["READS", "EmbeddedEngine", "ForeignTransaction", "stored_genesis"]

SEND = "eth_sendRawTransaction"
READS = frozenset(
    [
        "eth_blockNumber",
        "eth_call",
        "eth_chainId",
        "eth_createAccessList",
        "eth_estimateGas",
        "eth_feeHistory",
        "eth_gasPrice",
        "eth_getBalance",
        "eth_getBlockByHash",
        "eth_getBlockByNumber",
        "eth_getBlockReceipts",
        "eth_getBlockTransactionCountByHash",
        "eth_getBlockTransactionCountByNumber",
        "eth_getCode",
        "eth_getLogs",
        "eth_getProof",
        "eth_getStorageAt",
        "eth_getTransactionByBlockHashAndIndex",
        "eth_getTransactionByBlockNumberAndIndex",
        "eth_getTransactionByHash",
        "eth_getTransactionCount",
        "eth_getTransactionReceipt",
        "eth_maxPriorityFeePerGas",
        "eth_syncing",
        "net_listening",
        "net_version",
        "web3_clientVersion",
        "web3_sha3",
    ]
)
"""Methods that change nothing, answered by the engine; all others but sending are refused."""

RUNS = frozenset(["eth_call", "eth_createAccessList", "eth_estimateGas"])
"""Those among them that run code, for as much gas as the caller says unless it is bounded."""

_GENESIS_LIMIT = 1024 * 1024
_ATTEMPTS = 5
_QUANTITY = re.compile(r"0x[0-9a-fA-F]{1,64}\Z")


class EmbeddedEngine:
    """A :class:`Transport` onto the ledger in `folder`; calls may come from many threads.

    Parameters
    ----------
    folder
        Made if missing. Holds journal, genesis, saved state and the engine's own folder.
    genesis
        From :func:`make_genesis`; must be the one the folder began with.
    binary
        The engine, from :func:`find_engine`.
    clock
        Gives each block's timestamp, which is journaled with it.
    dump_every
        Save the engine's state after so many transactions, so that opening stays fast.
    isolate
        Put the engine out of other programs' reach where the system can do that.

    Raises
    ------
    HomeBusy
        Another process has the folder open.
    WrongNetwork
        The folder holds a ledger with another genesis.
    Damaged
        The journal is not what was written, or comes out different when replayed.
    EngineDied
        The engine does not start.
    """

    def __init__(
        self,
        folder: Path,
        *,
        genesis: dict[str, Any],
        binary: Path,
        clock: Clock = system_clock,
        dump_every: int = 2_000,
        isolate: bool = True,
    ) -> None:
        check_genesis(genesis)
        self.chain_id: int = genesis["config"]["chainId"]
        self._gas_limit = int(genesis["gasLimit"], 16)
        make_folder(folder)
        self._lock = HomeLock(folder / "lock").acquire()
        try:
            self.journal = Journal(folder / "journal.sqlite")
            try:
                _bind_genesis(folder, self.journal, genesis)
                replica = Replica(
                    folder, self.journal, genesis, binary, dump_every=dump_every, isolate=isolate
                )
                self._miner = Miner(self.journal, replica, genesis, clock)
            except BaseException:
                self.journal.close()
                raise
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> EmbeddedEngine:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        value: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def height(self) -> int:
        """The number of the newest block."""
        return int(self.request("eth_blockNumber", []), 16)

    def request(self, method: str, params: list[Any]) -> Any:
        """Return the result of one request.

        Raises
        ------
        RpcError
            Refused: an unknown or forbidden method, or a transaction that cannot be taken.
        EngineDied
            The engine stopped and could not be brought back, or the ledger is closed.
        Damaged
            The ledger has stopped; see :class:`ForeignTransaction`.
        """
        result = self.request_many([(method, params)])[0]
        if isinstance(result, RpcError):
            raise result
        return result

    def request_many(self, calls: Sequence[Call]) -> list[Any]:
        """Return one result or :class:`RpcError` a call.

        Transactions among the calls go into the same block where possible; reads are answered
        after them. Errors as for :meth:`request`.
        """
        results: list[Any] = [None] * len(calls)
        sent, reads = [], []
        calls = list(calls)
        for place, (method, params) in enumerate(calls):
            if method == SEND:
                sent.append(place)
            elif method in RUNS:
                bounded = _bounded(params, self._gas_limit)
                if isinstance(bounded, RpcError):
                    results[place] = bounded
                    continue
                calls[place] = (method, bounded)
                reads.append(place)
            elif method in READS:
                reads.append(place)
            else:
                results[place] = RpcError(-32601, f"the method {method[:64]} is not available")
        for place, result in zip(sent, self._send([calls[p][1] for p in sent]), strict=True):
            results[place] = result
        if reads:
            asked = [calls[place] for place in reads]
            for place, result in zip(reads, self._read(asked), strict=True):
                results[place] = result
        return results

    def close(self) -> None:
        """Finish the block under way, save the state, stop the engine; may be called twice."""
        self._miner.close()
        self.journal.close()
        self._lock.release()

    def _read(self, calls: list[Call]) -> list[Any]:
        for attempt in range(1, _ATTEMPTS + 1):
            engine, generation = self._miner.engine()
            try:
                return engine.request_many(calls)
            except EngineDied:
                self._miner.ask_restart(generation)
                if attempt == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def _send(self, params: list[list[Any]]) -> list[Any]:
        """Return hashes or errors, when all blocks that hold these are mined."""
        checked = [self._checked(one) for one in params]
        waiting = [one for one in checked if isinstance(one, Submission)]
        if params:
            self._miner.submit(waiting)
        results: list[Any] = []
        for one in checked:
            if not isinstance(one, Submission):
                results.append(one)
                continue
            one.done.wait()
            if one.error is None:
                results.append("0x" + one.transaction.hash.hex())
            elif isinstance(one.error, RpcError):
                results.append(one.error)
            else:
                raise one.error
        return results

    def _checked(self, params: Any) -> Submission | RpcError | str:
        """Return a transaction to send, the reason it cannot be, or its hash if it was before."""
        try:
            transaction = read_transaction(_raw(params), chain_id=self.chain_id)
        except BadInput as error:
            return RpcError(-32602, error.message)
        if transaction.gas > self._gas_limit:
            return RpcError(REJECTED, "exceeds block gas limit")
        self._miner.check()
        if self.journal.holds(transaction.hash):  # a repeated request is no second transaction
            return "0x" + transaction.hash.hex()
        if self.journal.knows(transaction.hash):
            return RpcError(REJECTED, "the engine refused this transaction before")
        return Submission(transaction)


def stored_genesis(folder: Path) -> dict[str, Any] | None:
    """Return the genesis of the ledger in `folder`, or None if there is no ledger.

    Raises
    ------
    Damaged
        The genesis file is not what was written.
    """
    try:
        data = read_bytes(folder / "genesis.json", limit=_GENESIS_LIMIT)
    except NotFound:
        return None
    try:
        genesis = json.loads(data)
        check_genesis(genesis)
    except (ValueError, RecursionError, BadInput) as error:
        raise Damaged(
            f"{folder / 'genesis.json'} is damaged: {error}",
            hint="restore it from a backup; the journal refuses any other genesis",
        ) from None
    return dict(genesis)


def _bind_genesis(folder: Path, journal: Journal, genesis: dict[str, Any]) -> None:
    """Tie the folder to its genesis at the first opening; refuse another one later."""
    digest, known = genesis_digest(genesis).hex(), journal.fact("genesis")
    if known is not None and known != digest:
        raise WrongNetwork(
            f"{folder} holds a ledger with another genesis",
            hint="open it with its own genesis, or choose an empty folder",
        )
    if known is None and journal.height:
        raise Damaged(f"the journal in {folder} has blocks but names no genesis")
    if known is None or not (folder / "genesis.json").exists():
        text = json.dumps(genesis, indent=1, sort_keys=True)
        write_atomic(folder / "genesis.json", text.encode("utf-8"))
    if known is None:
        journal.remember("genesis", digest)


def _bounded(params: Any, limit: int) -> list[Any] | RpcError:
    """Return a call's params with no more gas than a block holds; the engine sets no bound."""
    if not isinstance(params, list) or not params or not isinstance(params[0], dict):
        return RpcError(-32602, "a call is described by an object")
    fields = {name: value for name, value in params[0].items() if name not in ("gas", "gasLimit")}
    # without a number the engine takes a block's gas, or less if the caller could not pay it;
    # a fourth parameter could make the block larger
    gas = limit if len(params) > 3 else None
    for name in ("gas", "gasLimit"):
        asked = params[0].get(name)
        if asked is not None:
            if not isinstance(asked, str) or not _QUANTITY.match(asked):
                return RpcError(-32602, "a call's gas is a hexadecimal number")
            gas = min(gas or limit, int(asked, 16), limit)
    return [fields if gas is None else fields | {"gas": hex(gas)}, *params[1:]]


def _raw(params: Any) -> bytes:
    if not isinstance(params, list) or len(params) != 1 or not isinstance(params[0], str):
        raise BadInput(f"{SEND} takes one hexadecimal string")
    text = params[0]
    if not text.startswith("0x") or len(text) > 2 * MAX_RAW + 2:
        raise BadInput(f"a transaction is 0x and at most {MAX_RAW} bytes in hexadecimal")
    try:
        return bytes.fromhex(text[2:])
    except ValueError:
        raise BadInput("the transaction is not hexadecimal") from None
