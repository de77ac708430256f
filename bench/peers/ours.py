"""Our own contracts, measured as the peers are: each transaction in its own block.

Terms are of a usual kind: a year's licence for ten dollars of a token, five per cent royalty, the
digest of a text of terms. A permit is for exactly the price, an allowance for many purchases.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count

from bench.peers.chain import Chain, Mined
from bench.peers.figures import LIMITLESS, UNLIMITED, Figure, Job, Sheet
from tests.contracts.evm import Evm, Market

from usufruct.crypto.hash import keccak256
from usufruct.crypto.typed_data import Domain
from usufruct.ledger.account import Account
from usufruct.ledger.bindings import assets, licences, splits, tokens
from usufruct.ledger.bindings.calls import Call
from usufruct.ledger.bindings.offers import Offer, licence_id
from usufruct.ledger.bindings.splits import Split
from usufruct.types import ZERO_ADDRESS, Address, AssetId, AssetKind, Use

URI = "https://node.example/assets/0123456789abcdef"
PRICE = 10_000_000  # ten dollars
ALLOWED = 100 * PRICE
YEAR = 365 * 24 * 3600
DAY = 24 * 3600
DEADLINE = 2_000_000_000  # in 2033
LATER_VERSION = bytes(16)


@dataclass
class Stage:
    """The deployed market, the seller, and a supply of names nobody has used."""

    chain: Chain
    on: Market
    owner: Account
    fresh: count[int] = field(default_factory=count)

    def do(self, sender: Account, call: Call) -> Mined:
        """Mine a call."""
        return self.chain.send(sender.address, call.data, call.to)

    def seed(self) -> bytes:
        """Return 32 bytes that were not there before."""
        return keccak256(f"seed {next(self.fresh)}".encode())

    def account(self) -> Account:
        """Return an account that has gas money and no token."""
        return self.chain.newcomer(f"account {next(self.fresh)}")

    def buyer(self, allowed: int = 0) -> Account:
        """Return an account with a thousand dollars, of which Licences may take some."""
        buyer = self.account()
        self.do(buyer, tokens.faucet(self.on.dollar, buyer.address))
        if allowed:
            self.allow(buyer, allowed)
        return buyer

    def allow(self, buyer: Account, amount: int) -> Mined:
        """Let Licences take some of the buyer's dollars."""
        return self.do(buyer, tokens.approve(self.on.dollar, self.on.licences, amount))

    def new_asset(self) -> tuple[AssetId, bytes]:
        """Return an id that the owner may publish under, and the salt it comes from."""
        salt = self.seed()[:16]
        return assets.asset_id(self.owner.address, salt), salt

    def offer(self, asset: AssetId) -> Offer:
        """Return another offer of an asset on the usual terms."""
        return Offer(
            asset=asset,
            use=Use.DOWNLOAD,
            price=PRICE,
            token=self.on.dollar,
            period=YEAR,
            uses=0,
            cap=0,
            refund_window=0,
            royalty=50_000,
            transferable=False,
            allow_root=bytes(32),
            terms=self.seed(),
            salt=int.from_bytes(self.seed()[:8]),
        )

    def publish(
        self, asset: AssetId, salt: bytes, *offers: Offer, split: Split | None = None
    ) -> Mined:
        """Publish a version with offers."""
        call = assets.publish(
            self.on.assets,
            asset=asset,
            salt=salt,
            kind=AssetKind.MODEL,
            root=self.seed(),
            metadata=self.seed(),
            split_hash=split.digest if split else bytes(32),
            uri=URI,
            offers=licences.encode_terms(splits.encode_opening(split) if split else b"", offers),
        )
        return self.do(self.owner, call)

    def make(self, offer: Offer) -> Mined:
        """Make a further offer."""
        return self.do(self.owner, licences.make_offers(self.on.licences, [offer]))

    def close(self, offer: Offer) -> Mined:
        """Close an offer."""
        return self.do(self.owner, licences.close_offer(self.on.licences, offer))

    def buy(self, buyer: Account, offer: Offer, holder: Account | None = None) -> Mined:
        """Buy for oneself or another by what is allowed."""
        receiver = (holder or buyer).address
        return self.do(buyer, licences.buy(self.on.licences, offer, receiver))

    @property
    def money(self) -> Domain:
        """The domain of the token's signatures."""
        return Domain("Test Dollar", "1", self.chain.chain_id, self.on.dollar)


def measure(evm: Evm) -> list[Sheet]:
    """Return our one sheet."""
    on = evm.deploy_market()
    chain = Chain(evm)
    stage = Stage(chain, on, chain.newcomer("owner"))
    figures = _publishing(stage) + _buying(stage) + _using(stage) + _dividing(stage)
    notes = (
        "without a split the price goes to the owner with the sale, so nothing is withdrawn",
        "splits are of four payees, who had none of the token before the first withdrawal",
        "a permit is for exactly the price, an allowance for a hundred purchases",
    )
    return [Sheet("Usufruct", tuple(figures), notes)]


def _publishing(stage: Stage) -> list[Figure]:
    (first, salt), (asset, second), (shared, third) = (stage.new_asset() for _ in range(3))
    split, _ = _four_payees(stage, shared)
    offer, dear = stage.offer(asset), stage.offer(asset)
    one = stage.publish(first, salt, stage.offer(first))
    later = stage.publish(asset, second, offer)
    divided = stage.publish(shared, third, stage.offer(shared), split=split)
    version = stage.publish(asset, LATER_VERSION)
    both = stage.publish(asset, LATER_VERSION, stage.offer(asset))
    made, closed = stage.make(dear), stage.close(offer)
    cheaper = stage.close(dear), stage.make(replace(dear, price=PRICE // 2))
    return [
        _figure(Job.FIRST_PUBLISH, one),
        _figure(Job.LATER_PUBLISH, later, bar=220_000),
        _figure(Job.LATER_PUBLISH, divided, way="and a split"),
        _figure(Job.NEW_VERSION, version),
        _figure(Job.NEW_VERSION_AND_OFFER, both),
        _figure(Job.NEW_OFFER, made),
        _figure(Job.CLOSE_OFFER, closed),
        _figure(Job.NEW_PRICE, *cheaper, way="close, offer anew"),
    ]


def _buying(stage: Stage) -> list[Figure]:
    asset, salt = stage.new_asset()
    offer = stage.offer(asset)
    free = replace(stage.offer(asset), price=0, token=ZERO_ADDRESS)
    stage.publish(asset, salt, offer, free)
    income = _buy_by_permit(stage, offer)
    permit, authorized = _buy_by_permit(stage, offer), _buy_by_authorization(stage, offer)
    buyer = stage.buyer()
    approved = stage.allow(buyer, ALLOWED), stage.buy(buyer, offer)
    repeat, other = stage.buy(buyer, offer), stage.buy(buyer, offer, stage.account())
    stage.allow(buyer, LIMITLESS)
    return [
        _figure(Job.FIRST_SALE, income, way="permit"),
        _figure(Job.FIRST_BUY, permit, way="permit", bar=110_000),
        _figure(Job.FIRST_BUY, authorized, way="EIP-3009", bar=110_000),
        _figure(Job.FIRST_BUY, *approved, way="approve, buy"),
        _figure(Job.REPEAT_BUY, repeat, bar=85_000),
        _figure(Job.REPEAT_BUY, stage.buy(buyer, offer), way=UNLIMITED, bar=85_000),
        _figure(Job.FOR_OTHER, other),
        _figure(Job.FREE, stage.buy(stage.account(), free), bar=70_000),
    ]


def _using(stage: Stage) -> list[Figure]:
    asset, salt = stage.new_asset()
    counted = replace(stage.offer(asset), uses=1000)
    waiting = replace(stage.offer(asset), refund_window=DAY)
    stage.publish(asset, salt, counted, waiting)
    buyer = stage.buyer(ALLOWED)
    stage.buy(buyer, counted)
    where = licences.domain(stage.chain.chain_id, stage.on.licences)
    licence = licence_id(counted.offer_id, 1)
    uses = []
    for total in (40, 90):
        signed = buyer.sign_digest(licences.use_digest(where, licence, total))
        call = licences.record_use(stage.on.licences, licence, total, signed)
        uses.append(stage.do(buyer, call))
    stage.buy(buyer, waiting)  # so that Licences holds other money already
    bought, root = stage.buy(buyer, waiting), stage.seed()
    received = licences.acknowledgement_digest(where, licence_id(waiting.offer_id, 2), root)
    signed = buyer.sign_digest(received)
    call = licences.acknowledge(stage.on.licences, waiting, 2, root=root, signature=signed)
    renewed = stage.do(buyer, licences.renew(stage.on.licences, counted, 1))
    return [
        _figure(Job.RENEW, renewed),
        _figure(Job.USES, uses[0], way="first"),
        _figure(Job.USES, uses[1], way="later"),
        _figure(Job.REFUNDABLE, bought),
        _figure(Job.SETTLE, stage.do(stage.owner, call), way="acknowledge"),
    ]


def _dividing(stage: Stage) -> list[Figure]:
    asset, salt = stage.new_asset()
    split, payees = _four_payees(stage, asset)
    offer = stage.offer(asset)
    stage.publish(asset, salt, offer, split=split)
    income = _buy_by_permit(stage, offer)
    buyer = stage.buyer(ALLOWED)
    stage.buy(buyer, offer)
    repeat = stage.buy(buyer, offer)
    withdraw = splits.withdraw(stage.on.splits, split, stage.on.dollar)
    first = stage.do(payees[0], withdraw)
    stage.buy(buyer, offer)
    later = stage.do(payees[0], withdraw)
    # the first payee gives a tenth of its share to the second, so it has to sign
    successor = replace(split, version=2, shares=(225_000, 275_000, 250_000, 250_000))
    where = splits.domain(stage.chain.chain_id, stage.on.splits)
    consent = payees[0].sign_digest(splits.succession_digest(where, split, successor))
    succeed = splits.succeed(stage.on.splits, split, successor, [consent])
    return [
        _figure(Job.FIRST_SALE, income, way="permit, to a split"),
        _figure(Job.REPEAT_BUY, repeat, way="to a split", bar=85_000),
        _figure(Job.FIRST_WITHDRAWAL, first, way="to 4, deploys the wallet"),
        _figure(Job.LATER_WITHDRAWAL, later, way="to 4"),
        _figure(Job.NEW_SPLIT, stage.do(stage.owner, succeed), way="one of 4 signs"),
    ]


def _figure(job: Job, *steps: Mined, way: str = "", bar: int | None = None) -> Figure:
    return Figure(job, len(steps), sum(step.gas for step in steps), way, bar)


def _four_payees(stage: Stage, asset: AssetId) -> tuple[Split, list[Account]]:
    payees = sorted((stage.account() for _ in range(4)), key=lambda payee: payee.address)
    addresses: tuple[Address, ...] = tuple(payee.address for payee in payees)
    return Split(asset, 1, addresses, (250_000,) * 4), payees


def _buy_by_permit(stage: Stage, offer: Offer) -> Mined:
    buyer = stage.buyer()
    digest = tokens.permit_digest(
        stage.money,
        owner=buyer.address,
        spender=stage.on.licences,
        value=offer.price,
        nonce=0,
        deadline=DEADLINE,
    )
    call = licences.buy_with_permit(
        stage.on.licences,
        offer,
        buyer.address,
        deadline=DEADLINE,
        signature=buyer.sign_digest(digest),
    )
    return stage.do(buyer, call)


def _buy_by_authorization(stage: Stage, offer: Offer) -> Mined:
    buyer, salt = stage.buyer(), stage.seed()
    digest = tokens.receive_digest(
        stage.money,
        payer=buyer.address,
        to=stage.on.licences,
        value=offer.price,
        valid_after=0,
        valid_before=DEADLINE,
        nonce=licences.authorization_nonce(offer.offer_id, buyer.address, salt),
    )
    call = licences.buy_with_authorization(
        stage.on.licences,
        offer,
        buyer.address,
        payer=buyer.address,
        valid_after=0,
        valid_before=DEADLINE,
        salt=salt,
        signature=buyer.sign_digest(digest),
    )
    return stage.do(stage.account(), call)
