"""Requests that only their sender can have made: EIP-712 over all that a request means.

Chain, node, method, path with query, body, a fresh nonce and a deadline are signed, so a request
is good at one node, once, and for a few minutes. What the node must remember of it until the
deadline is (account, nonce). Source: EIP-712; the domain's contract is the operator's account.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from usufruct.crypto import typed_data
from usufruct.errors import BadInput, NotAllowed, VerificationError
from usufruct.types import Address, parse_address

if TYPE_CHECKING:
    from usufruct.ledger.account import Account

ACCOUNT: Final = "Usufruct-Account"
NONCE: Final = "Usufruct-Nonce"
DEADLINE: Final = "Usufruct-Deadline"
SIGNATURE: Final = "Usufruct-Signature"

MAX_LIFETIME: Final = 300
"""How far ahead of the node's clock a deadline may lie, in seconds."""

DOMAIN: Final = ("Usufruct Node", "1")
TYPE: Final = "Request(string method,string path,bytes32 body,bytes32 nonce,uint64 deadline)"

_NUMBER = re.compile(r"(?:0|[1-9][0-9]{0,14})\Z")
_METHOD = re.compile(r"[A-Z]{1,16}\Z")
_HINT = "the request is signed anew for each call; check the clock of this machine"


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """What a request says of its sender; nothing of it is checked yet.

    Parameters
    ----------
    account
        Who says to have signed.
    nonce
        32 random bytes, never used before.
    deadline
        Until when it may be answered, seconds since 1970.
    signature
        65 bytes: r, s and the recovery byte.

    Raises
    ------
    BadInput
        A field of another form.
    """

    account: Address
    nonce: bytes
    deadline: int
    signature: bytes

    def __post_init__(self) -> None:
        if parse_address(self.account) != self.account:
            raise BadInput("a request's account is in lower case")
        if len(self.nonce) != 32 or len(self.signature) != 65:
            raise BadInput("a request's nonce has 32 bytes and its signature 65")
        if not 0 <= self.deadline < 2**64:
            raise BadInput("a request's deadline is a number of seconds")


def request_digest(
    *,
    chain_id: int,
    node: Address,
    method: str,
    path: str,
    body: bytes,
    nonce: bytes,
    deadline: int,
) -> bytes:
    """Return the EIP-712 digest of a request, 32 bytes.

    Parameters
    ----------
    node
        The account of the node's operator.
    method
        In upper case.
    path
        Raw path, with ``?`` and the query as they are sent.
    body
        All bytes of the body; none for a GET.

    Raises
    ------
    BadInput
        A part that no request can have.
    """
    if not _METHOD.match(method) or not path.startswith("/") or not path.isascii():
        raise BadInput("a signed request has a method and a path in ASCII")
    if len(nonce) != 32 or not 0 <= deadline < 2**64:
        raise BadInput("a signed request has a nonce of 32 bytes and a deadline in seconds")
    hashed = typed_data.struct_hash(TYPE, method, path, sha256(body).digest(), nonce, deadline)
    return typed_data.digest(typed_data.Domain(*DOMAIN, chain_id, node), hashed)


def sign_request(
    account: Account,
    *,
    chain_id: int,
    node: Address,
    method: str,
    path: str,
    body: bytes = b"",
    now: int,
    lifetime: int = 60,
) -> dict[str, str]:
    """Return the headers that make a request its sender's.

    Parameters
    ----------
    now
        Seconds since 1970.
    lifetime
        Seconds until it is void, 1 to :data:`MAX_LIFETIME`.

    Raises
    ------
    BadInput
        As :func:`request_digest`, or the lifetime.
    """
    if not 0 < lifetime <= MAX_LIFETIME:
        raise BadInput(f"a request lives 1 to {MAX_LIFETIME} seconds")
    nonce, deadline = secrets.token_bytes(32), now + lifetime
    digest = request_digest(
        chain_id=chain_id,
        node=node,
        method=method,
        path=path,
        body=body,
        nonce=nonce,
        deadline=deadline,
    )
    return {
        ACCOUNT: account.address,
        NONCE: nonce.hex(),
        DEADLINE: str(deadline),
        SIGNATURE: account.sign_digest(digest).hex(),
    }


def read_request(headers: Mapping[str, str]) -> SignedRequest:
    """Return what the headers of a request say; upper or lower case names.

    Raises
    ------
    BadInput
        A header is missing or malformed.
    """
    deadline = _header(headers, DEADLINE)
    if not _NUMBER.match(deadline):
        raise BadInput(f"the header {DEADLINE} is a number of seconds since 1970")
    return SignedRequest(
        parse_address(_header(headers, ACCOUNT)),
        _hex(headers, NONCE, 32),
        int(deadline),
        _hex(headers, SIGNATURE, 65),
    )


def check_request(
    signed: SignedRequest,
    *,
    chain_id: int,
    node: Address,
    method: str,
    path: str,
    body: bytes,
    now: int,
) -> Address:
    """Return who made a request. That its nonce is new is for the caller to check.

    Parameters
    ----------
    path
        As it came in, before anything was decoded.
    now
        The node's clock, seconds since 1970.

    Raises
    ------
    NotAllowed
        The deadline has passed or lies too far ahead, or the signature is not by the account
        over this very request.
    BadInput
        The method or path cannot have been signed.
    """
    from usufruct.ledger.account import recover

    if now > signed.deadline:
        raise NotAllowed("the request's deadline has passed", hint=_HINT)
    if signed.deadline > now + MAX_LIFETIME:
        raise NotAllowed(
            f"the request's deadline is too far: at most {MAX_LIFETIME} seconds ahead", hint=_HINT
        )
    digest = request_digest(
        chain_id=chain_id,
        node=node,
        method=method,
        path=path,
        body=body,
        nonce=signed.nonce,
        deadline=signed.deadline,
    )
    try:
        signer = recover(digest, signed.signature)
    except (BadInput, VerificationError) as error:
        raise NotAllowed(f"the request's signature is wrong: {error.message}") from None
    if signer != signed.account:
        raise NotAllowed(
            f"the request's signature is wrong: it is not by {signed.account} over this request",
            hint="sign chain, node, method, path, body, nonce and deadline exactly as sent",
        )
    return signer


def _header(headers: Mapping[str, str], name: str) -> str:
    value = headers.get(name)
    if value is None:
        value = headers.get(name.lower())
    if not isinstance(value, str):
        raise BadInput(f"the request is not signed: it has no header {name}")
    if len(value) > 200:
        raise BadInput(f"the header {name} is too long")
    return value


def _hex(headers: Mapping[str, str], name: str, size: int) -> bytes:
    text = _header(headers, name)
    if len(text) != 2 * size or text.strip("0123456789abcdef"):
        raise BadInput(f"the header {name} is {2 * size} lower-case hexadecimal digits")
    return bytes.fromhex(text)
