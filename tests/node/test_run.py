"""A node on a real home and a real ledger: what is sold is delivered, and the rest is refused."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.node.running import running
from tests.workspace.homes import (  # noqa: F401
    PASSPHRASE,
    ROWS,
    environment,
    party,
    passphrase,
    plain_home,
    served,
)

from usufruct.errors import BadInput, HomeBusy, NotAllowed, Unavailable
from usufruct.ledger.account import Account
from usufruct.node.run import run_node
from usufruct.peer.client import NodeClient
from usufruct.types import Use
from usufruct.workspace import open_home
from usufruct.workspace.home import Home
from usufruct.workspace.session import Session

pytestmark = pytest.mark.engine

TERMS: tuple[dict[str, Any], ...] = ({}, {"uses": 2}, {"refund": "1h"}, {"use": Use.COMPUTE})


@contextlib.contextmanager
def client(home: Path, said: dict[str, Any]) -> Iterator[NodeClient]:
    secret = Home.open(home).unlock(passphrase).account_secret
    with NodeClient(
        said["url"], account=Account(secret), chain_id=said["chain_id"], node=said["address"]
    ) as made:
        yield made


@pytest.fixture(scope="module")
def seller(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    folder = tmp_path_factory.mktemp("seller")
    home = party(served, folder / "home", "Sally")
    table = folder / "people.csv"
    table.write_text(ROWS)
    with open_home(home, passphrase=passphrase) as workspace:
        made = workspace.publish(table, title="People of nowhere")
        for number, terms in enumerate(TERMS):
            fields: dict[str, Any] = {"use": Use.DOWNLOAD, "price": f"0.000{number + 1}"} | terms
            workspace.market.offer(made.asset, **fields)
    return home


@pytest.fixture(scope="module")
def buyer(served: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    return party(served, tmp_path_factory.mktemp("buyer") / "home", "Bert")


def test_a_home_without_a_ledger(plain_home: Path) -> None:  # noqa: F811
    with pytest.raises(Unavailable) as caught:
        run_node(plain_home, passphrase=passphrase, started=lambda said: None)
    assert "join" in str(caught.value.hint)


def test_selling(served: Any, seller: Path, buyer: Path, tmp_path: Path) -> None:  # noqa: F811
    with running(seller) as said, client(buyer, said) as node, client(seller, said) as others:
        # other commands of the home go on working
        with open_home(seller, passphrase=passphrase) as workspace:
            workspace.publish(tmp_path_file(tmp_path), title="Another")
        with pytest.raises(HomeBusy), running(seller):
            pass
        (card,) = node.assets(q="people nowhere")[0]
        assert (card["title"], card["owner_name"]) == ("People of nowhere", "Sally")
        assert card["served"]
        plain, counted, refundable = (
            one["id"]
            for one in sorted(card["offers"], key=lambda one: int(one["price"]))
            if one["use"] == "download"
        )
        licences = []
        for number, offer in enumerate((plain, counted, refundable)):
            # a buyer each, who has this one licence only
            home = buyer if not number else party(served, tmp_path / f"buyer{number}", "Betty")
            with open_home(home, passphrase=passphrase) as workspace:
                workspace.market.faucet()
                bought = workspace.market.buy(offer, node=said["url"])
                got = tmp_path / f"got{number}"
                workspace.market.download(card["id"], output=got, node=said["url"])
                if offer == refundable:
                    workspace.market.challenge(bought.licence)
            licences.append(bought.licence)
            files = [path for path in (got, *got.rglob("*")) if path.is_file()]
            assert any(path.read_bytes() == ROWS.encode() for path in files)
            with pytest.raises(NotAllowed, match="held by"):
                others.sealed(card["id"], 1, licence=bought.licence)
        assert node.about().document["url"] == said["url"]
        assert len(node.evidence(card["id"], 1)) > 100
        assert "usufruct_served_bytes_total" in node.metrics()
    # what holders signed was posted before the node ended
    with Session(Home.open(seller), write=False) as session:
        records = [session.index.licence(licence) for licence in licences]
        assert [record and record.used for record in records] == [0, 1, 0]
        assert [record and record.state for record in records] == ["settled"] * 3


def tmp_path_file(folder: Path) -> Path:
    path = folder / "more.csv"
    path.write_text("a,b\n1,2\n")
    return path


def test_the_address_goes_to_the_ledger(seller: Path) -> None:
    url = "https://node.example.org"
    for _ in range(2):
        with running(seller, public_url=url) as said:
            assert said["url"] == url
            with Session(Home.open(seller), write=False) as session:
                known = session.index.party(session.public.address)
                assert known is not None
                assert known.node == url
    for bad in ("node.example.org", "ftp://x", "https://user@x", "https://x/path"):
        with pytest.raises(BadInput):
            run_node(seller, passphrase=passphrase, started=lambda _: None, public_url=bad)


def test_pages_of_the_web_cannot_ask_a_node_on_loopback(seller: Path) -> None:
    with running(seller) as said:
        host, port = said["url"].removeprefix("http://").split(":")
        for name, status in (("evil.example", b"421"), ("localhost", b"200")):
            with socket.create_connection((host, int(port)), timeout=20) as connection:
                connection.sendall(
                    f"GET /node HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n".encode()
                )
                assert connection.recv(100).split()[1] == status


def test_an_embedded_ledger_is_shared(tmp_path: Path) -> None:
    from usufruct.workspace import create

    home = tmp_path / "home"
    create(home, name="Solo", network="embedded", passphrase=passphrase)
    with running(home) as said:
        with open_home(home, passphrase=passphrase) as workspace:
            made = workspace.publish(tmp_path_file(tmp_path), title="Mine")
        with client(home, said) as node:
            deadline = time.monotonic() + 30
            while not node.assets(q="mine")[0] and time.monotonic() < deadline:
                time.sleep(0.1)
            assert node.assets(q="mine")[0][0]["id"] == made.asset


def test_tls(seller: Path, tmp_path: Path) -> None:
    cert, key = self_signed(tmp_path)
    with running(seller, tls_cert=cert, tls_key=key) as said:
        assert said["url"].startswith("https://")
        host, port = said["url"].removeprefix("https://").split(":")
        context = ssl.create_default_context(cafile=str(cert))
        with (
            socket.create_connection((host, int(port)), timeout=20) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(100).startswith(b"HTTP/1.1 200")


def self_signed(folder: Path) -> tuple[Path, Path]:
    import datetime
    import ipaddress

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    cert = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(cert.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return paths


RUN = """
import json, sys
from pathlib import Path
from usufruct.node.run import run_node
def started(said):
    print(json.dumps(said), flush=True)
run_node(Path(sys.argv[1]), passphrase=lambda: sys.argv[2], started=started)
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_stop_it(seller: Path, number: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, str(seller), PASSPHRASE],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(),
    )
    assert process.stdout is not None
    said = json.loads(process.stdout.readline())
    with NodeClient(said["url"]) as node:
        assert node.health()["status"] == "ok"
    process.send_signal(number)
    _, log = process.communicate(timeout=60)
    assert process.returncode == 0
    lines = [json.loads(line) for line in log.splitlines()]
    # the line of a request is written after its answer
    assert lines[0]["event"] == "started"
    assert {line["event"] for line in lines} == {"started", "request", "stopping"}
    # the lock is given back
    with running(seller):
        pass
