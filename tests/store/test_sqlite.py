import sqlite3
from pathlib import Path

import pytest

from usufruct.errors import Damaged, HomeBusy
from usufruct.store import connect, transaction

V1 = ["CREATE TABLE a (x INTEGER)"]
V2 = [*V1, "CREATE TABLE b (y TEXT); INSERT INTO b SELECT 'from ' || x FROM a"]


def test_a_file_of_the_previous_format_is_upgraded(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    old = connect(path, schema=V1, application="test")
    old.execute("INSERT INTO a VALUES (7)")
    old.close()
    new = connect(path, schema=V2, application="test")
    assert new.execute("SELECT y FROM b").fetchall() == [("from 7",)]
    new.close()
    with pytest.raises(Damaged, match="newer version"):
        connect(path, schema=V1, application="test")


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    connect(path, schema=V1, application="journal").close()
    with pytest.raises(Damaged, match="journal"):
        connect(path, schema=V1, application="log")
    (tmp_path / "x").write_bytes(b"not a database, but long enough to be looked at" * 40)
    with pytest.raises(Damaged):
        connect(tmp_path / "x", schema=V1, application="log")


def test_acknowledged_means_full_sync(tmp_path: Path) -> None:
    connection = connect(tmp_path / "d.sqlite", schema=V1, application="test")
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()


def test_a_transaction_happens_whole_or_not_at_all(tmp_path: Path) -> None:
    connection = connect(tmp_path / "d.sqlite", schema=V1, application="test")
    with pytest.raises(ZeroDivisionError), transaction(connection):
        connection.execute("INSERT INTO a VALUES (1)")
        raise ZeroDivisionError
    with transaction(connection):
        connection.execute("INSERT INTO a VALUES (2)")
    assert connection.execute("SELECT x FROM a").fetchall() == [(2,)]
    connection.close()


def test_a_writer_elsewhere_is_named_not_leaked(tmp_path: Path) -> None:
    path = tmp_path / "d.sqlite"
    first = connect(path, schema=V1, application="test")
    second = connect(path, schema=V1, application="test")
    second.execute("PRAGMA busy_timeout=50")
    with transaction(first), pytest.raises(HomeBusy), transaction(second):
        pass
    first.close()
    second.close()


def test_errors_of_our_own_making_stay_visible(tmp_path: Path) -> None:
    connection = connect(tmp_path / "d.sqlite", schema=V1, application="test")
    with pytest.raises(sqlite3.OperationalError), transaction(connection):
        connection.execute("INSERT INTO nowhere VALUES (1)")
    connection.close()
