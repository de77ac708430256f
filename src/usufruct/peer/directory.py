"""Where a party's node is: an address that a stranger wrote, looked at before it is used."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

from usufruct.errors import BadInput, NotFound
from usufruct.types import Address, parse_address

if TYPE_CHECKING:
    from usufruct.ledger.records import PartyRecord

MAX_URL = 256
"""Longest address of a node, in characters; the index keeps no longer ones."""

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
_LABELS = re.compile(rf"(?=.{{1,253}}\Z){_LABEL}(?:\.{_LABEL})*\.?\Z")
_NUMERIC = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)(?:\.(?:0x[0-9a-f]*|[0-9]+))*\.?\Z")
_HINT = "it is written like https://node.example.org or http://127.0.0.1:8080"


class Parties(Protocol):
    """Knows the parties' entries on the ledger: an ``Index``."""

    def party(self, address: str) -> PartyRecord | None:
        """Return a party's newest entry, None if it never registered."""
        ...


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where a node answers.

    Parameters
    ----------
    secure
        By https.
    host, port
        Name or IP address in lower case (of IPv6 without brackets), and the port.
    """

    secure: bool
    host: str
    port: int

    @property
    def authority(self) -> str:
        """Host and port as they stand in a URL; a port that goes without saying is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == (443 if self.secure else 80) else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The URL, without a slash at its end."""
        return f"{'https' if self.secure else 'http'}://{self.authority}"


def read_url(text: str) -> Endpoint:
    """Return the endpoint that a URL names.

    Raises
    ------
    BadInput
        Not http or https; a user, password, path, query or fragment in it; a host that is no
        plain name or IP address, or one that no node can have (link-local, multicast, unspecified).
    """
    if not isinstance(text, str) or not 0 < len(text) <= MAX_URL:
        raise _bad("it is empty or too long")
    if not text.isascii() or not text.isprintable() or " " in text or "\\" in text:
        raise _bad("it holds characters that no URL has")
    try:
        parts = urlsplit(text)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        raise _bad("it cannot be read") from None
    if parts.scheme not in ("http", "https"):
        raise _bad("it is neither http nor https")
    if "@" in parts.netloc or parts.path not in ("", "/") or "?" in text or "#" in text:
        raise _bad("it has more in it than a host and a port")
    if port == 0:
        raise _bad("it has no port that can be reached")
    if ("[" in parts.netloc) != (":" in host):
        raise _bad("its host is neither a name nor an IP address")
    _check_host(host)
    secure = parts.scheme == "https"
    return Endpoint(secure, host, port or (443 if secure else 80))


def find_node(parties: Parties, address: Address) -> str:
    """Return the URL of a party's node, as the party has it on the ledger.

    Raises
    ------
    NotFound
        The party never registered, or names no node.
    BadInput
        What it names cannot be a node.
    """
    record = parties.party(parse_address(address))
    if record is None or not record.node:
        raise NotFound(
            f"the party {address} names no node on the ledger",
            hint="ask it for its URL, and give it with --node",
        )
    try:
        return read_url(record.node).url
    except BadInput as error:
        raise BadInput(
            f"the party {address} names a node that cannot be used: {error.message}",
            hint="ask it for its URL, and give it with --node",
        ) from None


def _check_host(host: str) -> None:
    try:
        ip = ipaddress.ip_address(host)
    except ValueError:
        # 0x7f.1 and the like: some resolvers take them for addresses
        if _NUMERIC.match(host) or not _LABELS.match(host):
            raise _bad("its host is neither a name nor an IP address") from None
        return
    mapped = ip.ipv4_mapped if isinstance(ip, ipaddress.IPv6Address) else None
    ip = mapped or ip
    reserved = ip.is_reserved and not ip.is_loopback
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or reserved:
        raise _bad("no node can have this IP address")


def _bad(why: str) -> BadInput:
    return BadInput(f"the node's URL is refused: {why}", hint=_HINT)
