import pytest
from tests.log.conftest import ORIGIN
from tests.log.tilereader import H

from usufruct.crypto.merkle import consistency_proof, root
from usufruct.crypto.notes import Checkpoint
from usufruct.errors import Damaged, LedgerUnreachable, UsufructError, VerificationError
from usufruct.log import CheckpointMemory

LEAVES = [H(b"%d" % i) for i in range(40)]
FORK = [*LEAVES[:20], *(H(b"other %d" % i) for i in range(20, 40))]


def head(size, leaves=LEAVES, origin=ORIGIN):
    return Checkpoint(origin, size, root(leaves[:size]))


def proofs(leaves=LEAVES):
    return lambda old, new: consistency_proof(leaves[:new], old)


def never(old, new):
    raise AssertionError("no proof is needed")


@pytest.fixture
def memory(tmp_path):
    return CheckpointMemory(tmp_path / "seen.sqlite")


def test_grows_and_is_kept(memory, tmp_path):
    assert memory.last(ORIGIN) is None
    memory.remember(ORIGIN, head(0), never)
    memory.remember(ORIGIN, head(5), never)
    memory.remember(ORIGIN, head(5), never)
    for size in (6, 8, 23, 40):
        memory.remember(ORIGIN, head(size), proofs())
    memory.remember("b", head(3, origin="b"), never)
    again = CheckpointMemory(tmp_path / "seen.sqlite")
    assert again.last(ORIGIN) == head(40)
    assert again.last("b") == head(3, origin="b")


@pytest.mark.parametrize(
    ("shown", "fetch"),
    [
        (head(19), proofs()),
        (head(0), proofs()),
        (head(25, FORK), proofs(FORK)),
        (head(40, FORK), proofs(FORK)),
        (head(40, FORK), proofs()),
        (head(40), lambda old, new: []),
        (head(40), lambda old, new: [b"short"]),
        (head(40), lambda old, new: [bytes(32)] * 200),
        (head(40, origin="b"), proofs()),
    ],
)
def test_two_stories_are_refused(memory, shown, fetch):
    memory.remember(ORIGIN, head(25), never)
    with pytest.raises(VerificationError):
        memory.remember(ORIGIN, shown, fetch)
    assert memory.last(ORIGIN) == head(25)


def test_an_older_head_may_be_checked(memory):
    memory.check(ORIGIN, head(10), never)
    memory.remember(ORIGIN, head(25), never)
    memory.check(ORIGIN, head(10), proofs())
    memory.check(ORIGIN, head(30), proofs())
    with pytest.raises(VerificationError):
        memory.check(ORIGIN, head(22, FORK), proofs(FORK))
    with pytest.raises(VerificationError):
        memory.check(ORIGIN, head(30, FORK), proofs(FORK))
    assert memory.last(ORIGIN) == head(25)


def test_a_proof_that_cannot_be_fetched(memory):
    def unreachable(old, new):
        raise LedgerUnreachable("no answer")

    memory.remember(ORIGIN, head(5), never)
    with pytest.raises(LedgerUnreachable):
        memory.remember(ORIGIN, head(6), unreachable)
    assert memory.last(ORIGIN) == head(5)


def test_another_process_was_faster(memory):
    memory.remember(ORIGIN, head(20), never)

    def meanwhile(old, new):
        if old == 20:
            memory.remember(ORIGIN, head(30, FORK), proofs(FORK))
        return proofs()(old, new)

    with pytest.raises(VerificationError):
        memory.remember(ORIGIN, head(40), meanwhile)
    assert memory.last(ORIGIN) == head(30, FORK)


@pytest.mark.parametrize("cut", [0, 50, 4096, 6000])
def test_a_damaged_file(memory, tmp_path, cut):
    memory.remember(ORIGIN, head(5), never)
    path = tmp_path / "seen.sqlite"
    path.write_bytes(path.read_bytes()[:cut] + b"x" * 100)
    with pytest.raises(UsufructError):
        CheckpointMemory(path).last(ORIGIN)


def test_a_damaged_row(memory, tmp_path):
    import sqlite3

    memory.remember(ORIGIN, head(5), never)
    with sqlite3.connect(tmp_path / "seen.sqlite") as connection:
        connection.execute("UPDATE heads SET root = 'x'")
    connection.close()
    with pytest.raises(Damaged):
        memory.last(ORIGIN)
