"""Ocean Protocol v4: its contracts from npm, set up as its own deployment script does.

Steps and arguments follow ocean.py's defaults: a data NFT with one datatoken, a fixed-rate exchange
that mints (or a dispenser), no market fees, metadata written in a transaction of its own, an order
that carries the provider's signed fee of zero. Where there is a choice we took what is cheapest
for Ocean: the base token is the approved one (no swap fee), metadata is short, no decryptor
address. Template 1 is the default; template 2 ("enterprise") joins buying and ordering.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bench.peers.chain import ETHER, Chain, Contract, Mined
from bench.peers.figures import LIMITLESS, UNLIMITED, Figure, Job, Sheet
from bench.peers.npm import install
from eth_abi.packed import encode_packed
from tests.contracts.evm import Evm

from usufruct.crypto.hash import keccak256
from usufruct.ledger.account import Account
from usufruct.types import ZERO_ADDRESS

DEAD = "0x000000000000000000000000000000000000dead"
PRICE = 10 * ETHER
ALLOWED = 100 * PRICE
DEFAULT, ENTERPRISE = 1, 2
METADATA_BYTES = 1024
PROVIDER_URL = "https://provider.example.org"
TOKEN_URI = "https://oceanprotocol.com/nft/"


@dataclass(frozen=True)
class Ocean:
    """What stands once Ocean is deployed."""

    chain: Chain
    version: str
    token: Contract
    router: Contract
    exchange: Contract
    dispenser: Contract
    factory: Contract
    nft: Contract
    datatokens: dict[int, Contract]
    provider: Account


@dataclass(frozen=True)
class Asset:
    """A published asset; `exchange_id` is empty when it is free."""

    nft: Contract
    datatoken: Contract
    exchange_id: bytes
    template: int
    gas: int


def measure(evm: Evm) -> list[Sheet]:
    """Return a sheet for each of the two templates."""
    ocean = _deploy(Chain(evm))
    fee = ocean.router.ask("getOPCFee", ocean.token.address)
    order_fee = ocean.router.ask("getOPCConsumeFee")
    notes = (
        "first buy: approve, buyDT, startOrder (template 1); approve, buyFromFreAndOrder (2)",
        f"publishing: one call for NFT, datatoken and exchange, then {METADATA_BYTES} bytes of "
        "encrypted metadata",
        f"fees as deployed: swap {fee / ETHER:.2%}, order {order_fee / ETHER:.2%} of a datatoken; "
        "provider's and markets' fees zero",
        "template 2 pays out with each sale; with template 1 the seller collects",
        "renewing (reuseOrder) pays the provider's fee alone, here zero; ours pays the price again",
        "income goes to one account; there is no split, expiry, count of uses or refund on chain",
    )
    name = f"Ocean {ocean.version}"
    return [
        Sheet(f"{name}, template 1", tuple(_figures(ocean, DEFAULT)), notes),
        Sheet(f"{name}, template 2", tuple(_figures(ocean, ENTERPRISE))),
    ]


def _deploy(chain: Chain) -> Ocean:
    package = install("ocean") / "@oceanprotocol" / "contracts"
    version = json.loads((package / "package.json").read_text("utf-8"))["version"]
    root = chain.accounts[0]

    def deploy(path: str, *args: Any) -> Contract:
        folder = package / "artifacts" / "contracts" / f"{path}.sol"
        return Contract.deploy(chain, folder / f"{folder.stem}.json", *args)

    token = deploy("utils/OceanToken", root)
    collector = deploy("communityFee/OPFCommunityFeeCollector", root, root)
    router = deploy("pools/FactoryRouter", root, token.address, DEAD, collector.address, ())
    exchange = deploy("pools/fixedRate/FixedRateExchange", router.address)
    templates = {
        DEFAULT: deploy("templates/ERC20Template"),
        ENTERPRISE: deploy("templates/ERC20TemplateEnterprise"),
    }
    nft = deploy("templates/ERC721Template")
    dispenser = deploy("pools/dispenser/Dispenser", router.address)
    factory = deploy("ERC721Factory", nft.address, templates[DEFAULT].address, router.address)
    factory.send(root, "addTokenTemplate", templates[ENTERPRISE].address)
    router.send(root, "addFactory", factory.address)
    router.send(root, "addFixedRateContract", exchange.address)
    router.send(root, "addDispenserContract", dispenser.address)
    provider = chain.newcomer("provider")
    return Ocean(
        chain, version, token, router, exchange, dispenser, factory, nft, templates, provider
    )


def _figures(ocean: Ocean, template: int) -> list[Figure]:
    owner = ocean.chain.newcomer(f"owner {template}").address
    first = _publish(ocean, owner, template)
    asset = _publish(ocean, owner, template)
    free = _publish(ocean, owner, template, free=True)
    buyers = [_buyer(ocean, f"buyer {template} {number}") for number in range(3)]
    figures = [
        Figure(Job.FIRST_PUBLISH, 2, first.gas),
        Figure(Job.LATER_PUBLISH, 2, asset.gas),
        Figure(Job.NEW_VERSION, 1, _describe(asset.nft, owner, b"\2").gas),
        Figure(
            Job.NEW_PRICE,
            1,
            ocean.exchange.send(owner, "setRate", asset.exchange_id, PRICE // 2).gas,
            "setRate",
        ),
    ]
    for job, buyer in zip((Job.FIRST_SALE, Job.FIRST_BUY), buyers, strict=False):
        steps = [_approve(ocean, asset, buyer), *_buy(ocean, asset, buyer, buyer)]
        figures.append(_sum(job, steps))
    repeat = _buy(ocean, asset, buyers[1], buyers[1])
    figures.append(_sum(Job.REPEAT_BUY, repeat))
    figures.append(_sum(Job.FOR_OTHER, _buy(ocean, asset, buyers[1], buyers[2])))
    _take(ocean, free, buyers[0])  # as with sales: the fee collector holds this datatoken already
    figures.append(_sum(Job.FREE, _take(ocean, free, buyers[1])))
    reuse = asset.datatoken.send(
        buyers[1], "reuseOrder", repeat[-1].digest, _provider_fee(ocean, asset.datatoken)
    )
    figures.append(_sum(Job.RENEW, [reuse], "reuseOrder, provider's fee zero"))
    if template == DEFAULT:  # the other template pays out with each sale
        for job in (Job.FIRST_WITHDRAWAL, Job.LATER_WITHDRAWAL):
            figures.append(_sum(job, [_collect(ocean, asset)], "collectBT, one payee"))
            _buy(ocean, asset, buyers[1], buyers[1])
    _approve(ocean, asset, buyers[1], LIMITLESS)
    repeat = _buy(ocean, asset, buyers[1], buyers[1])
    figures.append(_sum(Job.REPEAT_BUY, repeat, UNLIMITED))
    stop = ocean.exchange.send(owner, "toggleExchangeState", asset.exchange_id)
    figures.append(_sum(Job.CLOSE_OFFER, [stop], "toggleExchangeState"))
    return figures


def _sum(job: Job, steps: list[Mined], way: str = "") -> Figure:
    return Figure(job, len(steps), sum(step.gas for step in steps), way)


def _publish(ocean: Ocean, owner: str, template: int, free: bool = False) -> Asset:
    given: tuple[Any, ...]
    data_nft = ("Data NFT 1", "DN1", 1, TOKEN_URI, True, owner)
    datatoken = (
        template,
        ("Datatoken 1", "DT1"),
        (owner, owner, ZERO_ADDRESS, ZERO_ADDRESS),
        (LIMITLESS, 0),
        (),
    )
    if free:
        given = (ocean.dispenser.address, ETHER, ETHER, True, ZERO_ADDRESS)
        name = "createNftWithErc20WithDispenser"
    else:
        parties = (ocean.token.address, owner, owner, ZERO_ADDRESS)
        given = (ocean.exchange.address, parties, (18, 18, PRICE, 0, 1))
        name = "createNftWithErc20WithFixedRate"
    made = ocean.factory.send(owner, name, data_nft, datatoken, given)
    event = ocean.factory.event
    nft = ocean.nft.at(event(made, "NFTCreated")["newTokenAddress"])
    token = ocean.datatokens[template].at(event(made, "TokenCreated")["newTokenAddress"])
    exchange_id = (
        b"" if free else ocean.datatokens[template].event(made, "NewFixedRate")["exchangeId"]
    )
    described = _describe(nft, owner, b"\1")
    return Asset(nft, token, exchange_id, template, made.gas + described.gas)


def _describe(nft: Contract, owner: str, filler: bytes) -> Mined:
    document = filler * METADATA_BYTES
    digest = keccak256(document)
    return nft.send(owner, "setMetaData", 0, PROVIDER_URL, "", b"\2", document, digest, ())


def _buyer(ocean: Ocean, name: str) -> str:
    buyer = ocean.chain.newcomer(name).address
    ocean.token.send(ocean.chain.accounts[0], "mint", buyer, 10 * ALLOWED)
    return buyer


def _approve(ocean: Ocean, asset: Asset, buyer: str, amount: int = ALLOWED) -> Mined:
    spender = ocean.exchange if asset.template == DEFAULT else asset.datatoken
    return ocean.token.send(buyer, "approve", spender.address, amount)


def _buy(ocean: Ocean, asset: Asset, buyer: str, consumer: str) -> list[Mined]:
    order = _order(ocean, asset, consumer)
    if asset.template == ENTERPRISE:
        how = (ocean.exchange.address, asset.exchange_id, PRICE, 0, ZERO_ADDRESS)
        return [asset.datatoken.send(buyer, "buyFromFreAndOrder", order, how)]
    terms = (asset.exchange_id, ETHER, PRICE, ZERO_ADDRESS, 0)
    return [
        ocean.exchange.send(buyer, "buyDT", *terms),
        asset.datatoken.send(buyer, "startOrder", *order),
    ]


def _take(ocean: Ocean, asset: Asset, buyer: str) -> list[Mined]:
    order = _order(ocean, asset, buyer)
    dispenser = ocean.dispenser.address
    if asset.template == ENTERPRISE:
        return [asset.datatoken.send(buyer, "buyFromDispenserAndOrder", order, dispenser)]
    return [
        ocean.dispenser.send(buyer, "dispense", asset.datatoken.address, ETHER, buyer),
        asset.datatoken.send(buyer, "startOrder", *order),
    ]


def _collect(ocean: Ocean, asset: Asset) -> Mined:
    sold = ocean.exchange.ask("getExchange", asset.exchange_id)[10]  # btBalance
    assert sold
    owner = asset.nft.ask("ownerOf", 1)
    return ocean.exchange.send(owner, "collectBT", asset.exchange_id, sold)


def _order(ocean: Ocean, asset: Asset, consumer: str) -> tuple[Any, ...]:
    no_market = (ZERO_ADDRESS, ZERO_ADDRESS, 0)
    return consumer, 1, _provider_fee(ocean, asset.datatoken), no_market


def _provider_fee(ocean: Ocean, datatoken: Contract) -> tuple[Any, ...]:
    """Return a fee of zero, signed as an Ethereum message over its packed fields."""
    about = {
        "environment": None,
        "timestamp": 1700000000.25,
        "dt": datatoken.address,
        "id": "0" * 64,
    }
    data = json.dumps(about, separators=(",", ":")).encode()
    who = ocean.provider.address
    fields = (data, who, ocean.token.address, 0, 0)
    digest = keccak256(encode_packed(("bytes", "address", "address", "uint256", "uint256"), fields))
    signature = ocean.provider.sign_digest(keccak256(b"\x19Ethereum Signed Message:\n32" + digest))
    r, s, v = signature[:32], signature[32:64], signature[64] + 27
    return who, ocean.token.address, 0, v, r, s, 0, data
