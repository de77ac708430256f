from __future__ import annotations

from typing import Any

import pytest
from eth_abi import encode
from tests.contracts.evm import Evm
from tests.contracts.shop import YES_1271, Shop, install, refuses

from usufruct.crypto.hash import keccak256

pytestmark = pytest.mark.engine

FIELDS = (
    "address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce"
)
TYPES = "address,address,uint256,uint256,uint256,bytes32"
NONCE = b"\5" * 32
FAR = 2**40


@pytest.fixture
def shop(evm: Evm) -> Shop:
    shop = Shop(evm, evm.deploy_market())
    shop.fund()
    return shop


def send(shop: Shop, signature: str, *args: Any, **options: Any) -> Any:
    return shop.send(signature, *args, to=shop.on.dollar, **options)


def signed(shop: Shop, kind: str, after: int = 0, before: int = FAR) -> tuple[list[Any], bytes]:
    values = [shop.buyer, shop.other, 5, after, before, NONCE]
    names = [field.split()[1] for field in FIELDS.split(",")]
    return values, shop.sign(2, "dollar", kind, FIELDS, **dict(zip(names, values, strict=True)))


def parts(signature: bytes) -> list[Any]:
    return [signature[64], signature[:32], signature[32:64]]


def test_it_is_a_dollar(shop: Shop) -> None:
    def ask(name: str, kind: str) -> Any:
        return shop.ask(f"{name}()", [], kind, to=shop.on.dollar)

    assert ask("name", "string") == "Test Dollar"
    assert ask("symbol", "string") == "TUSD"
    assert ask("decimals", "uint8") == 6
    assert ask("version", "string") == "1"
    assert shop.dollars(shop.buyer) == 1_000_000_000
    kinds = "EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"
    chain = int(shop.evm.rpc("eth_chainId"), 16)
    domain = encode(
        ["bytes32", "bytes32", "bytes32", "uint256", "address"],
        [*(keccak256(t.encode()) for t in (kinds, "Test Dollar", "1")), chain, shop.on.dollar],
    )
    assert ask("DOMAIN_SEPARATOR", "bytes32") == keccak256(domain)


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", ["Transfer", "Receive"])
def test_authorizations(shop: Shop, kind: str, whole: bool) -> None:
    values, signature = signed(shop, f"{kind}WithAuthorization")
    overload = "bytes" if whole else "uint8,bytes32,bytes32"
    name = f"{kind.lower()}WithAuthorization({TYPES},{overload})"
    last = [signature] if whole else parts(signature)
    if kind == "Receive":
        with refuses("CallerNotReceiver", shop.seller, shop.other):
            send(shop, name, *values, *last, by=shop.seller)
    with refuses("AuthorizationNotSigned", shop.buyer):
        changed = [*values[:2], 6, *values[3:]]
        send(shop, name, *changed, *last, by=shop.other)
    send(shop, name, *values, *last, by=shop.other)
    assert shop.dollars(shop.other) == 5
    state = "authorizationState(address,bytes32)"
    assert shop.ask(state, [shop.buyer, NONCE], "bool", to=shop.on.dollar) is True
    with refuses("AuthorizationSpent", shop.buyer, NONCE):
        send(shop, name, *values, *last, by=shop.other)


def test_authorization_is_good_between_its_times(shop: Shop) -> None:
    now = shop.evm.time + 100
    values, signature = signed(shop, "TransferWithAuthorization", now, now + 2)
    name = f"transferWithAuthorization({TYPES},bytes)"
    for time, error in ((now, "AuthorizationNotYetValid"), (now + 2, "AuthorizationExpired")):
        snapshot, before = shop.evm.rpc("evm_snapshot"), shop.evm.time
        shop.evm.set_time(time)
        with refuses(error):
            send(shop, name, *values, signature)
        shop.evm.rpc("evm_revert", snapshot)
        assert before < time
    values, signature = signed(shop, "TransferWithAuthorization", now + 200, now + 202)
    shop.evm.set_time(now + 201)
    send(shop, name, *values, signature)


@pytest.mark.parametrize("whole", [False, True])
def test_cancel(shop: Shop, whole: bool) -> None:
    fields = "address authorizer,bytes32 nonce"
    cancel = shop.sign(
        2, "dollar", "CancelAuthorization", fields, authorizer=shop.buyer, nonce=NONCE
    )
    overload = "bytes" if whole else "uint8,bytes32,bytes32"
    last = [cancel] if whole else parts(cancel)
    send(shop, f"cancelAuthorization(address,bytes32,{overload})", shop.buyer, NONCE, *last)
    values, signature = signed(shop, "TransferWithAuthorization")
    with refuses("AuthorizationSpent", shop.buyer, NONCE):
        send(shop, f"transferWithAuthorization({TYPES},bytes)", *values, signature)


def test_contract_signs(shop: Shop) -> None:
    contract = install(shop.evm, YES_1271)
    send(shop, "faucet(address)", contract)
    values = [contract, shop.other, 5, 0, FAR, NONCE]
    send(shop, f"transferWithAuthorization({TYPES},bytes)", *values, b"any")
    assert shop.dollars(shop.other) == 5


def test_permit(shop: Shop) -> None:
    fields = "address owner,address spender,uint256 value,uint256 nonce,uint256 deadline"
    deadline = shop.evm.time + 50
    message = {"owner": shop.buyer, "spender": shop.other, "value": 9, "nonce": 0}
    signature = shop.sign(2, "dollar", "Permit", fields, **message, deadline=deadline)
    name = "permit(address,address,uint256,uint256,uint8,bytes32,bytes32)"
    args = [shop.buyer, shop.other, 9, deadline, *parts(signature)]
    with refuses("ERC2612InvalidSigner"):
        send(shop, name, *args[:2], 8, *args[3:])
    shop.evm.set_time(deadline)
    send(shop, name, *args)
    pair = [shop.buyer, shop.other]
    assert shop.ask("allowance(address,address)", pair, "uint256", to=shop.on.dollar) == 9
    with refuses("ERC2612ExpiredSignature", deadline):
        send(shop, name, *args)
