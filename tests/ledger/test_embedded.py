from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from tests.ledger.engine import (
    CHAIN,
    OTHER,
    TIME,
    TREASURY,
    binary,
    chain,
    genesis,
    open_engine,
    raw,
    send,
)

from usufruct.errors import BadInput, Damaged, EngineDied, HomeBusy, Unavailable, WrongNetwork
from usufruct.ledger.account import Account, contract_address
from usufruct.ledger.embedded import EmbeddedEngine, ForeignTransaction, stored_genesis
from usufruct.ledger.genesis import make_genesis
from usufruct.ledger.supervisor import Supervisor
from usufruct.ledger.transport import RpcError

pytestmark = pytest.mark.engine
DEAD = "0x" + "22" * 20


def _balance(engine: EmbeddedEngine, address: str = DEAD) -> int:
    return int(engine.request("eth_getBalance", [address, "latest"]), 16)


def _engine(engine: EmbeddedEngine) -> Supervisor:
    return engine._miner.engine()[0]


def test_send_read_reopen(tmp_path: Path) -> None:
    with open_engine(tmp_path) as engine:
        assert int(engine.request("eth_chainId", []), 16) == CHAIN
        name = engine.request("eth_sendRawTransaction", [raw(0)])
        receipt = engine.request("eth_getTransactionReceipt", [name])
        assert (receipt["status"], receipt["blockNumber"]) == ("0x1", "0x1")
        assert send(engine, raw(1), raw(2)) == [
            engine.request("eth_getTransactionByHash", [h])["hash"]
            for h in engine.request("eth_getBlockByNumber", ["0x2", False])["transactions"]
        ]
        before = chain(engine)
    assert not (tmp_path / "run").exists()
    engine.close()
    with pytest.raises(EngineDied, match="closed"):
        engine.request("eth_chainId", [])
    with pytest.raises(EngineDied, match="closed"):
        engine.request("eth_sendRawTransaction", [raw(9)])
    assert stored_genesis(tmp_path) == genesis()
    with open_engine(tmp_path) as engine:
        assert chain(engine) == before
        assert engine.request("eth_getTransactionReceipt", [name]) == receipt
        assert _balance(engine) == 3


def test_block_time_is_the_clocks_and_never_goes_back(tmp_path: Path) -> None:
    times = iter([TIME - 50, TIME + 100, TIME + 40, TIME + 100])
    with open_engine(tmp_path, clock=lambda: next(times)) as engine:
        for nonce in range(4):
            send(engine, raw(nonce))
        blocks = [engine.request("eth_getBlockByNumber", [hex(n), False]) for n in range(5)]
    found = [int(block["timestamp"], 16) - TIME for block in blocks]
    assert found == [0, 0, 100, 100, 100]


def test_refusals(tmp_path: Path) -> None:
    poor = Account(b"\x66" * 32)
    with open_engine(tmp_path) as engine:
        send(engine, raw(0))
        cases: list[tuple[list[Any], str]] = [
            ([raw(0, value=9)], "nonce too low"),
            ([raw(1, value=2**100)], "insufficient funds"),
            ([raw(0, poor)], "insufficient funds"),
            ([raw(1, maxFeePerGas=1)], "less than block base fee"),
            ([raw(1, gas=100_000_001)], "exceeds block gas limit"),
            ([raw(1, chainId=1)], "another chain"),
            (["0x"], "bytes"),
            (["0x03aabb"], "type 3"),
            (["0xzz"], "hexadecimal"),
            (["00"], "0x"),
            ([], "one hexadecimal"),
            ([1], "one hexadecimal"),
            ([raw(1), raw(2)], "one hexadecimal"),
        ]
        for params, why in cases:
            with pytest.raises(RpcError, match=why) as caught:
                engine.request("eth_sendRawTransaction", params)
            assert caught.value.code in (-32003, -32602)
        begin = time.monotonic()
        with pytest.raises(RpcError, match="nonce too high"):
            engine.request("eth_sendRawTransaction", [raw(7)])
        assert time.monotonic() - begin < 20
        assert engine.height == 1


def test_same_transaction_twice_is_one(tmp_path: Path) -> None:
    with open_engine(tmp_path) as engine:
        first = send(engine, raw(0))
        assert send(engine, raw(0)) == first
        assert engine.height == 1
        same, other = send(engine, raw(1), raw(1, value=5))
        assert isinstance(same, str)
        assert isinstance(other, RpcError)
        assert "replacement" in other.message


@pytest.mark.parametrize(
    "method",
    [
        "anvil_setBalance",
        "evm_mine",
        "hardhat_reset",
        "debug_traceTransaction",
        "eth_sendTransaction",
        "eth_sign",
        "eth_sendUnsignedTransaction",
        "eth_accounts",
        "eth_newFilter",
        "personal_sign",
        "txpool_content",
        "",
    ],
)
def test_only_reads_pass(shared: EmbeddedEngine, method: str) -> None:
    with pytest.raises(RpcError) as caught:
        shared.request(method, [])
    assert caught.value.code == -32601


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with open_engine(tmp_path_factory.mktemp("shared")) as engine:
        yield engine


def test_nonces_in_any_order_and_chains_of_money(tmp_path: Path) -> None:
    """One list may need the block that its own first part makes."""
    poor = Account(b"\x66" * 32)
    calls = [raw(2), raw(0), raw(1, to=poor.address, value=10**18), raw(0, poor, value=5)]
    with open_engine(tmp_path) as engine:
        assert not [r for r in send(engine, *calls) if isinstance(r, RpcError)]
        assert _balance(engine) == 7


def test_many_threads_share_blocks(tmp_path: Path) -> None:
    parties = [Account(bytes([n + 1]) * 32) for n in range(16)]
    errors: list[Exception] = []
    with open_engine(tmp_path) as engine:
        send(engine, *(raw(n, to=p.address, value=10**18) for n, p in enumerate(parties)))

        def work(party: Account) -> None:
            try:
                for nonce in range(20):
                    name = engine.request("eth_sendRawTransaction", [raw(nonce, party)])
                    receipt = engine.request("eth_getTransactionReceipt", [name])
                    assert receipt["status"] == "0x1"
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(party,)) for party in parties]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not errors
        assert _balance(engine) == 320
        assert engine.height < 200
        before = chain(engine)
    with open_engine(tmp_path) as engine:
        assert chain(engine) == before


def test_threads_with_one_account(tmp_path: Path) -> None:
    raws = [raw(n) for n in range(60)]
    results: list[Any] = []
    with open_engine(tmp_path) as engine:
        threads = [
            threading.Thread(target=lambda part=raws[k::6]: results.extend(send(engine, *part)))
            for k in range(6)
        ]
        for thread in reversed(threads):
            thread.start()
        for thread in threads:
            thread.join()
        assert len({r for r in results if isinstance(r, str)}) == 60


def test_block_gas_is_never_exceeded(tmp_path: Path) -> None:
    with open_engine(tmp_path) as engine:
        results = send(engine, *(raw(n, gas=40_000_000) for n in range(5)))
        assert all(isinstance(result, str) for result in results)
        assert engine.height == 3


def test_reverted_transaction_is_mined_and_replayed(tmp_path: Path) -> None:
    # PUSH1 0 PUSH1 0 REVERT, deployed by a copy of itself
    code = bytes.fromhex("6460006000fd6000526005601bf3")
    with open_engine(tmp_path) as engine:
        send(engine, raw(0, to=None, data=code, gas=200_000, value=0))
        address = contract_address(TREASURY.address, 0)
        assert engine.request("eth_getCode", [address, "latest"]) == "0x60006000fd"
        (name,) = send(engine, raw(1, to=address, gas=50_000))
        assert engine.request("eth_getTransactionReceipt", [name])["status"] == "0x0"
        with pytest.raises(RpcError) as caught:
            engine.request("eth_call", [{"to": address}, "latest"])
        assert caught.value.code == 3
        before = chain(engine)
    (tmp_path / "engine-state").unlink(missing_ok=True)
    with open_engine(tmp_path) as engine:
        assert chain(engine) == before


def test_engine_killed_between_and_during_calls(tmp_path: Path) -> None:
    with open_engine(tmp_path) as engine:
        send(engine, raw(0))
        os.kill(_engine(engine).pid, signal.SIGKILL)
        assert _balance(engine) == 1
        os.kill(_engine(engine).pid, signal.SIGKILL)
        send(engine, raw(1))
        stop = threading.Event()

        def kill() -> None:
            while not stop.wait(0.5):
                with contextlib.suppress(EngineDied, ProcessLookupError):
                    os.kill(_engine(engine).pid, signal.SIGKILL)

        killer = threading.Thread(target=kill)
        killer.start()
        try:
            for start in range(2, 602, 20):
                results = send(engine, *(raw(n) for n in range(start, start + 20)))
                assert all(isinstance(result, str) for result in results), results
                assert _balance(engine) == start + 20
        finally:
            stop.set()
            killer.join()
        before = chain(engine)
    with open_engine(tmp_path) as engine:
        assert chain(engine) == before


def test_engine_that_cannot_be_brought_back(tmp_path: Path) -> None:
    program = tmp_path / "anvil"
    program.write_text(f'#!/bin/sh\n[ -e {tmp_path}/off ] && exit 1\nexec {binary()} "$@"\n')
    program.chmod(0o755)
    with EmbeddedEngine(tmp_path / "l", genesis=genesis(), binary=program) as engine:
        send(engine, raw(0))
        (tmp_path / "off").touch()
        os.kill(_engine(engine).pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(EngineDied):
                engine.request("eth_chainId", [])
            with pytest.raises(EngineDied):
                engine.request("eth_sendRawTransaction", [raw(1)])
    with pytest.raises(EngineDied):
        EmbeddedEngine(tmp_path / "l", genesis=genesis(), binary=program)
    (tmp_path / "off").unlink()
    with EmbeddedEngine(tmp_path / "l", genesis=genesis(), binary=program) as engine:
        assert _balance(engine) == 1


@pytest.mark.parametrize("foreign", ["in our block", "a block of its own"])
def test_foreign_transaction_stops_the_ledger(tmp_path: Path, foreign: str) -> None:
    with open_engine(tmp_path) as engine:
        send(engine, raw(0, to=OTHER.address, value=10**18))
        intruder = _engine(engine)
        intruder.request("eth_sendRawTransaction", [raw(0, OTHER)])
        if foreign == "a block of its own":
            intruder.request("evm_mine", [])
        with pytest.raises(ForeignTransaction, match="not in the journal"):
            engine.request("eth_sendRawTransaction", [raw(1)])
        with pytest.raises(ForeignTransaction):
            engine.request("eth_chainId", [])
    with open_engine(tmp_path) as engine:
        assert engine.request("eth_getTransactionCount", [OTHER.address, "latest"]) == "0x0"


def test_nobody_else_reaches_the_engine(tmp_path: Path) -> None:
    with open_engine(tmp_path) as engine:
        supervisor = _engine(engine)
        folder = tmp_path / "run"
        assert folder.stat().st_mode & 0o077 == 0
        assert sorted(p.name for p in folder.iterdir()) == ["genesis.json", "ipc", "stderr"]
        assert (folder / "stderr").read_bytes() == b""
        if supervisor.isolated:
            ours = os.readlink("/proc/self/ns/net")
            assert os.readlink(f"/proc/{supervisor.pid}/ns/net") != ours


@pytest.mark.parametrize("options", [{}, {"isolate": False}, {"watchdog": True}])
def test_engine_dies_with_its_parent(tmp_path: Path, options: dict[str, bool]) -> None:
    program = (
        "import sys, time; from pathlib import Path\n"
        "from usufruct.ledger.supervisor import Supervisor\n"
        "from tests.ledger.engine import genesis\n"
        f"s = Supervisor(Path({str(binary())!r}), Path({str(tmp_path / 'run')!r}), genesis(),"
        f" **{options!r})\n"
        "print('up', flush=True); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    assert parent.stdout.readline() == b"up\n"
    assert _users(tmp_path)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    deadline = time.monotonic() + 5
    while _users(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not _users(tmp_path)


def _users(folder: Path) -> list[str]:
    """Return the processes whose command line names a folder."""
    done = subprocess.run(["ps", "axww", "-o", "pid=,command="], capture_output=True, text=True)
    wanted = f"--ipc {folder}"
    return [line for line in done.stdout.splitlines() if wanted in line]


def test_long_folder_names(tmp_path: Path) -> None:
    with open_engine(tmp_path / ("x" * 120)) as engine:
        send(engine, raw(0))


def test_another_genesis_or_user_is_refused(tmp_path: Path) -> None:
    with open_engine(tmp_path) as engine:
        send(engine, raw(0))
        with pytest.raises(HomeBusy):
            open_engine(tmp_path)
        assert _balance(engine) == 1
    other = make_genesis(CHAIN + 1, TREASURY.address, TIME)
    with pytest.raises(WrongNetwork, match="another genesis"):
        EmbeddedEngine(tmp_path, genesis=other, binary=binary())
    with pytest.raises(BadInput):
        EmbeddedEngine(tmp_path, genesis={}, binary=binary())
    (tmp_path / "genesis.json").write_text("{}")
    with pytest.raises(Damaged, match="genesis"):
        stored_genesis(tmp_path)
    with pytest.raises(EngineDied):
        EmbeddedEngine(tmp_path / "new", genesis=genesis(), binary=tmp_path / "nothing")


def _filled(folder: Path) -> list[str]:
    with open_engine(folder, dump_every=40) as engine:
        for start in range(0, 100, 10):
            send(engine, *(raw(n) for n in range(start, start + 10)))
        return chain(engine)


def test_saved_state_and_tail(tmp_path: Path) -> None:
    before = _filled(tmp_path)
    state = tmp_path / "engine-state"
    assert state.read_bytes().startswith(b"usufruct/engine-state/v1 ")
    with open_engine(tmp_path) as engine:
        assert engine._miner._replica._dumped == 8
        assert chain(engine) == before
        assert _balance(engine) == 100
        send(engine, raw(100))


@pytest.mark.parametrize("place", [0, 30, 120, -1, "cut", "empty", "gone"])
def test_damaged_saved_state_is_not_used(tmp_path: Path, place: int | str) -> None:
    before = _filled(tmp_path)
    state = tmp_path / "engine-state"
    data = bytearray(state.read_bytes())
    if isinstance(place, int):
        data[place] ^= 1
    elif place == "cut":
        data = data[:-20]
    else:
        data = bytearray()
    state.write_bytes(data)
    if place == "gone":
        state.unlink()
    with open_engine(tmp_path) as engine:
        assert engine._miner._replica._dumped == 0
        assert chain(engine) == before


def test_journal_older_than_saved_state(tmp_path: Path) -> None:
    _filled(tmp_path)
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("DELETE FROM transactions WHERE block > 5")
        db.execute("DELETE FROM blocks WHERE number > 5")
    db.close()
    with pytest.raises(Damaged, match="transactions are missing"):
        open_engine(tmp_path)


def test_other_hash_on_replay(tmp_path: Path) -> None:
    _filled(tmp_path)
    with sqlite3.connect(tmp_path / "journal.sqlite") as db:
        db.execute("UPDATE blocks SET hash = zeroblob(32) WHERE number = 3")
    db.close()
    (tmp_path / "engine-state").unlink()
    with pytest.raises(Damaged, match=r"block 3 .* different"):
        open_engine(tmp_path)


def test_transaction_that_only_the_engine_refuses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever slips through our checks is refused by name and stays out when replayed."""
    from usufruct.ledger import admission

    monkeypatch.setattr(admission.Admission, "_affords", lambda *_, **__: True)
    poor = Account(b"\x66" * 32)
    with open_engine(tmp_path) as engine:
        results = send(engine, raw(0), raw(0, poor), raw(1))
        assert [isinstance(result, RpcError) for result in results] == [False, True, False]
        (alone,) = send(engine, raw(0, poor, value=2))
        assert isinstance(alone, RpcError)
        assert engine.height == engine.journal.height == 1
        (again,) = send(engine, raw(0, poor))
        assert isinstance(again, RpcError)
        send(engine, raw(2))
        before = chain(engine)
    with open_engine(tmp_path) as engine:
        assert chain(engine) == before
        assert _balance(engine) == 3


def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_engine(tmp_path) as engine:

        def full(*_: object) -> int:
            raise Unavailable("cannot write the database: disk is full")

        with monkeypatch.context() as patch:
            patch.setattr(engine.journal, "append", full)
            with pytest.raises(Unavailable, match="full"):
                engine.request("eth_sendRawTransaction", [raw(0)])
        assert send(engine, raw(0)) and _balance(engine) == 1
