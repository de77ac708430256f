"""How much of a node one caller may take: one value, so that an operator sees all of it."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """What a node allows; times in seconds, sizes in bytes.

    Parameters
    ----------
    head_bytes, body_bytes
        Largest request head (line and headers) and largest body.
    idle_seconds
        A connection without a request is cut after so long.
    head_seconds, body_seconds
        A request's head, then its body, must have arrived within.
    stall_seconds
        A piece of an answer must have been taken by its reader within.
    connections, connections_per_peer
        Most open ones; beyond that the longest idle one is cut.
    downloads, downloads_per_account
        Most objects that are sent at once.
    rate, burst
        Requests a second of one address in the long run, and at once.
    account_rate, account_burst
        The same of one account.
    stop_seconds
        What runs when the node stops may go on for so long.
    proxied
        The node stands behind a proxy on this machine, which tells who calls.
    """

    head_bytes: int = 32 * 1024
    body_bytes: int = 64 * 1024
    idle_seconds: float = 20.0
    head_seconds: float = 10.0
    body_seconds: float = 15.0
    stall_seconds: float = 60.0
    connections: int = 4096
    connections_per_peer: int = 256
    downloads: int = 64
    downloads_per_account: int = 16
    rate: float = 200.0
    burst: int = 1000
    account_rate: float = 100.0
    account_burst: int = 500
    stop_seconds: float = 20.0
    proxied: bool = False


def peer_key(host: str) -> str:
    """Return what stands for one caller: an IPv4 address, or the /64 net of an IPv6 one."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host[:64]
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, 64), strict=False).network_address)
