"""Where a node is: what strangers write on the ledger is no way into our network."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.peer.shelf import SELLER

from usufruct.errors import BadInput, NotFound
from usufruct.peer.directory import find_node, read_url

GOOD = {
    "http://127.0.0.1:8080": "http://127.0.0.1:8080",
    "https://Node.Example.ORG/": "https://node.example.org",
    "https://node.example.org:443": "https://node.example.org",
    "http://[::1]:9": "http://[::1]:9",
    "http://localhost": "http://localhost",
    "HTTP://a-b.c_d:1": "http://a-b.c_d:1",
}
BAD = (
    *("", " ", "node", "//node", "ftp://node", "file:///etc/passwd", "javascript:alert(1)"),
    *("http://", "http://:80", "http://a:0", "http://a:70000", "http://a:b", "http://a:-1"),
    *("http://user@a", "http://a@b", "http://:p@b", "http://a/b", "http://a?b", "http://a#b"),
    *("http://a?", "http://a#", "http://a b", "http://a\n", "http://a\\b", "http://a\tb"),
    *("http://ä", "http://a..b", "http://-a", "http://a%2eb", "http://[::1", "http://[v1.a]"),
    *("http://169.254.169.254", "http://[fe80::1]", "http://0.0.0.0", "http://[::]"),
    *("http://224.0.0.1", "http://[::ffff:169.254.169.254]", "http://255.255.255.255"),
    *("http://0x7f.1", "http://2130706433", "http://0177.0.0.1", "http://127.1", "http://1"),
    "http://" + "a" * 64 + ".org",
    "http://" + "a." * 200 + "org",
)


@pytest.mark.parametrize(("text", "url"), GOOD.items())
def test_good_ones(text: str, url: str):
    assert read_url(text).url == url
    assert read_url(url).url == url


@pytest.mark.parametrize("text", BAD)
def test_hostile_ones(text: str):
    with pytest.raises(BadInput, match="node's URL"):
        read_url(text)


@given(st.text(max_size=80).map(lambda text: "http://" + text) | st.text(max_size=80))
def test_anything_is_a_url_or_bad_input(text: str):
    try:
        endpoint = read_url(text)
    except BadInput:
        return
    assert read_url(endpoint.url) == endpoint


@dataclass
class Parties:
    node: str | None

    def party(self, address: str) -> Any:
        assert address == SELLER.address
        return None if self.node is None else SimpleNamespace(node=self.node)


def test_find_node():
    assert find_node(Parties("http://a:1/"), SELLER.address) == "http://a:1"
    for missing in (None, ""):
        with pytest.raises(NotFound):
            find_node(Parties(missing), SELLER.address)
    with pytest.raises(BadInput):
        find_node(Parties("http://169.254.169.254/"), SELLER.address)
