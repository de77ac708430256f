"""What Assets, Splits, Licences and the tokens should do together, in plain Python.

As in model.py: each step returns the names of all refusals that apply; the contracts must give one
of them or, if there is none, do the step. Here the model does the step itself when nothing stands
against it, at the time the next block will have (`now`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from tests.contracts.market_terms import (
    ACTIVE,
    CALL,
    COIN,
    DRAFT,
    FOR_EVER,
    MOVES,
    NOBODY,
    REVOKED,
    UNCOUNTED,
    WHOLE,
    ZERO,
    Offer,
    Split,
    bad_split,
    wallet,
)
from tests.contracts.market_tokens import Tokens


@dataclass
class Record:
    owner: str
    state: int = DRAFT
    split: bytes = ZERO
    versions: int = 0


@dataclass
class Sale:
    offer: Offer
    sold: int = 0
    open: bool = True


@dataclass
class Licence:
    offer: Offer
    owner: str
    expiry: int
    granted: int
    deadline: int
    used: int = 0
    payer: str = NOBODY
    challenged: int = 0


@dataclass
class Model:
    licences: str
    splits: str
    implementation: str
    tokens: Tokens = field(default_factory=Tokens)
    now: int = 0
    assets: dict[int, Record] = field(default_factory=dict)
    shapes: dict[bytes, Split] = field(default_factory=dict)
    sales: dict[int, Sale] = field(default_factory=dict)
    royalty: defaultdict[int, int] = field(default_factory=lambda: defaultdict(int))
    held: dict[int, Licence] = field(default_factory=dict)
    owed: defaultdict[tuple[bytes, str, str], int] = field(default_factory=lambda: defaultdict(int))
    nonces: set[tuple[str, bytes]] = field(default_factory=set)
    approved: set[tuple[str, str]] = field(default_factory=set)
    deaf: set[str] = field(default_factory=set)
    promised: dict[int, dict[str, int]] = field(default_factory=dict)
    """What each asset owes to where its parents' income went, less what was signed away."""
    due: dict[str, int] = field(default_factory=dict)

    def depth(self, split: bytes) -> int:
        """How many splits money passes through from this one on, at most."""
        wallets = {self.wallet(known): known for known in self.shapes}
        inner = [wallets[payee] for payee in self.shapes[split].payees if payee in wallets]
        return 1 + max((self.depth(known) for known in inner), default=0)

    # what follows from the state

    def wallet(self, split: bytes) -> str:
        return wallet(self.splits, self.implementation, split)

    def pay_to(self, asset: int) -> str:
        record = self.assets[asset]
        return record.owner if record.split == ZERO else self.wallet(record.split)

    def reserved(self, split: bytes, token: str) -> int:
        return sum(n for (s, t, _), n in self.owed.items() if s == split and t == token)

    def locked(self, token: str) -> int:
        """What Licences must hold: the price of every licence that is not settled."""
        return sum(
            x.offer.price for x in self.held.values() if x.deadline and x.offer.token == token
        )

    # assets and splits

    def no_split(
        self,
        asset: int,
        owner: str,
        split_hash: bytes,
        shown: Split | None,
        parents: Sequence[int],
        claims: Sequence[tuple[int, Offer]],
    ) -> set[str]:
        """Why Splits refuses how an asset begins."""
        wrong: set[str] = set()
        given: dict[str, int] = {}
        if split_hash != ZERO:
            if shown is None:
                return {"SplitNotShown", "WrongSplit"}
            if shown.hash != split_hash:
                wrong.add("WrongSplit")
            wrong |= bad_split(shown)
            if shown.asset != asset or shown.version != 1:
                wrong.add("BadSplit")
            given = dict(zip(shown.payees, shown.shares, strict=False))
        needed: defaultdict[str, int] = defaultdict(int)
        lowered: dict[int, int] = {}
        for serial, offer in claims:
            licence = self.held.get(offer.id << 64 | serial)
            good = (
                licence is not None
                and licence.owner == owner
                and not licence.deadline
                and not self._expired(licence)
                and offer.use != CALL
            )
            if not good or offer.asset not in parents:
                wrong.add("BadClaim")
            lowered[offer.asset] = min(offer.royalty, lowered.get(offer.asset, WHOLE))
        for parent in parents:
            if parent not in self.assets:
                continue
            due = min(lowered.get(parent, WHOLE), self.royalty[parent])
            if self.assets[parent].owner != owner and due:
                needed[self.pay_to(parent)] += due
        self.due = dict(needed)
        if any(due > given.get(payee, 0) for payee, due in needed.items()):
            wrong.add("RoyaltyMissing")
        return wrong

    def begin(
        self,
        asset: int,
        owner: str,
        shown: Split | None,
        parents: Sequence[int],
        claims: Sequence[tuple[int, Offer]] = (),
        *,
        split_hash: bytes | None = None,
        publish: bool = False,
        offers: Sequence[Offer] = (),
    ) -> set[str]:
        """Register a draft or, with `publish`, an asset with its first version and offers."""
        split_hash = (shown.hash if shown else ZERO) if split_hash is None else split_hash
        wrong = {"AssetExists"} if asset in self.assets else set()
        wrong |= {"UnknownParent"} if any(p not in self.assets for p in parents) else set()
        known = [self.assets[p] for p in parents if p in self.assets]
        wrong |= {"RevokedParent"} if any(p.state == REVOKED for p in known) else set()
        if parents or split_hash != ZERO:
            wrong |= self.no_split(asset, owner, split_hash, shown, parents, claims)
        wrong |= self._no_offers(asset, offers)
        if not wrong:
            state = ACTIVE if publish else DRAFT
            self.assets[asset] = Record(owner, state, split_hash, int(publish))
            self.promised[asset] = self.due if parents else {}
            if shown and split_hash != ZERO:
                self.shapes[split_hash] = shown
            self._add(offers)
        return wrong

    def publish(
        self, asset: int, who: str, shown: Split | None = None, offers: Sequence[Offer] = ()
    ) -> set[str]:
        """Publish a later version, with offers and, if the split is open, the split."""
        record = self.assets[asset]
        wrong = {"NotAssetOwner"} if record.owner != who else set()
        wrong |= {"NotPublishable"} if record.state > ACTIVE else set()
        split_hash = shown.hash if shown else ZERO
        fixes = shown is not None and record.split == ZERO
        if record.split not in (ZERO, split_hash) and split_hash != ZERO:
            wrong.add("SplitDiffers")
        if fixes:
            wrong |= self.no_split(asset, who, split_hash, shown, (), ())
        wrong |= self._no_offers(asset, offers)
        if not wrong:
            record.state, record.versions = ACTIVE, record.versions + 1
            if fixes and shown:
                record.split = split_hash
                self.shapes[split_hash] = shown
            self._add(offers)
        return wrong

    def set_state(self, asset: int, who: str, state: int) -> set[str]:
        record = self.assets[asset]
        wrong = {"NotAssetOwner"} if record.owner != who else set()
        wrong |= {"IllegalTransition"} if (record.state, state) not in MOVES else set()
        if not wrong:
            record.state = state
        return wrong

    def give_asset(self, asset: int, who: str, target: str) -> set[str]:
        if self.assets[asset].owner != who:
            return {"ERC721InsufficientApproval", "ERC721IncorrectOwner"}
        self.assets[asset].owner = target
        return set()

    def succeed(self, old: Split, new: Split, signers: Sequence[str]) -> set[str]:
        """`signers`: whose good signatures are shown, in the order of the old payees."""
        record = self.assets.get(old.asset)
        wrong = set()
        if record is None or record.split != old.hash:
            wrong.add("NotCurrentSplit")
        if new.version != old.version + 1:
            wrong.add("NotNextVersion")
        if new.asset != old.asset:
            wrong |= {"BadSplit"}
        wrong |= bad_split(new)
        falling = [p for p, s in zip(old.payees, old.shares, strict=True) if new.share(p) < s]
        if list(signers) != falling:
            wrong.add("ConsentMissing")
        if not falling:
            wrong.add("NothingFalls")
        if not wrong and record:
            for payee in set(falling) & set(self.promised[old.asset]):
                self.promised[old.asset][payee] = min(
                    self.promised[old.asset][payee], new.share(payee)
                )
            record.split = new.hash
            self.shapes[new.hash] = new
        return wrong

    # offers

    def _no_offers(self, asset: int, offers: Iterable[Offer]) -> set[str]:
        wrong: set[str] = set()
        seen: set[int] = set()
        for offer in offers:
            bad = offer.asset != asset or offer.use > 3 or offer.royalty > WHOLE
            bad = bad or offer.window > 30 * 86400 or offer.token not in self.tokens.kinds
            wrong |= {"BadOffer"} if bad else set()
            wrong |= {"OfferExists"} if offer.id in self.sales or offer.id in seen else set()
            seen.add(offer.id)
        return wrong

    def _add(self, offers: Iterable[Offer]) -> None:
        for offer in offers:
            self.sales[offer.id] = Sale(offer)
            self.royalty[offer.asset] = max(self.royalty[offer.asset], offer.royalty)

    def make_offers(self, who: str, offers: Sequence[Offer]) -> set[str]:
        wrong: set[str] = set()
        seen: set[int] = set()
        for offer in offers:
            wrong |= self._mine(offer.asset, who)
            wrong |= self._no_offers(offer.asset, [offer])
            wrong |= {"OfferExists"} if offer.id in seen else set()
            seen.add(offer.id)
        if not wrong:
            self._add(offers)
        return wrong

    def _mine(self, asset: int, who: str) -> set[str]:
        record = self.assets.get(asset)
        if record is None:
            return {"UnknownAsset", "NotAssetOwner", "NotActive", "ERC721NonexistentToken"}
        wrong = {"NotAssetOwner"} if record.owner != who else set()
        return wrong | ({"NotActive"} if record.state != ACTIVE else set())

    def close(self, who: str, offer: Offer) -> set[str]:
        sale = self.sales.get(offer.id)
        wrong = {"UnknownOffer"} if sale is None else set()
        wrong |= {"OfferIsClosed"} if sale and not sale.open else set()
        record = self.assets.get(offer.asset)
        wrong |= {"NotAssetOwner"} if record is None or record.owner != who else set()
        if not wrong and sale:
            sale.open = False
        return wrong

    # licences

    def _for_sale(self, offer: Offer) -> set[str]:
        sale = self.sales.get(offer.id)
        if sale is None:
            return {"UnknownOffer"}
        wrong = {"OfferIsClosed"} if not sale.open else set()
        return wrong | ({"NotActive"} if self.assets[offer.asset].state != ACTIVE else set())

    def buy(
        self,
        offer: Offer,
        payer: str,
        holder: str,
        *,
        listed: bool = True,
        value: int | None = None,
        nonce: tuple[str, bytes] | None = None,
        unsigned: set[str] | None = None,
        valid: bool = True,
    ) -> set[str]:
        """Buy; `nonce` for EIP-3009, `unsigned` what a bad signature leads to, `valid` in time."""
        wrong = self._for_sale(offer) | self._hook(holder)
        if wrong & {"UnknownOffer"}:
            return wrong
        sale, target = self.sales[offer.id], self.pay_to(offer.asset)
        wrong |= {"SoldOut"} if offer.cap and sale.sold >= offer.cap else set()
        wrong |= {"NotListed"} if offer.root != ZERO and not listed else set()
        wrong |= unsigned or set()
        first = self.licences if offer.window else target
        native = offer.token == COIN
        sent = value if value is not None else (offer.price if native else 0)
        wrong |= {"WrongValue"} if sent != (offer.price if native else 0) else set()
        if nonce is not None:
            wrong |= {"AuthorizationSpent"} if nonce in self.nonces else set()
            outside = {"AuthorizationExpired", "AuthorizationNotYetValid"}
            wrong |= outside if not valid else set()
            wrong |= self.tokens.stuck(offer.token, payer, self.licences, offer.price)
        elif offer.price:
            if native:
                wrong |= set() if offer.window else self.tokens.stuck(COIN, payer, first, sent)
            else:
                wrong |= self.tokens.refused(offer.token, payer, first, offer.price)
                fee = self.tokens.kinds[offer.token] == "fee" and offer.price >= 100
                wrong |= {"TokenTookFee"} if fee and offer.window else set()
        expiry = self.now + offer.period if offer.period else FOR_EVER
        if wrong:
            return wrong
        if offer.price:
            self.tokens.move(offer.token, payer, first, offer.price)
            if nonce is None and not native:
                self.tokens.spend(offer.token, payer, offer.price)
        if nonce is not None:
            self.nonces.add(nonce)
        sale.sold += 1
        self.held[offer.id << 64 | sale.sold] = Licence(
            offer,
            holder,
            expiry,
            offer.uses or UNCOUNTED,
            self.now + offer.window if offer.window else 0,
            payer=payer,
        )
        return wrong

    def _hook(self, holder: str) -> set[str]:
        if holder == NOBODY or holder in self.deaf:
            return {"ERC1155InvalidReceiver"}
        return set()

    def renew(self, offer: Offer, serial: int, payer: str, value: int | None = None) -> set[str]:
        wrong = self._for_sale(offer)
        licence = self.held.get(offer.id << 64 | serial)
        wrong |= {"UnknownLicence"} if licence is None else set()
        wrong |= {"InRefundWindow"} if licence and licence.deadline else set()
        endless = not offer.period and not offer.uses
        wrong |= {"NothingToRenew"} if endless or not offer.price else set()
        if wrong & {"UnknownOffer"}:
            return wrong
        native, target = offer.token == COIN, self.pay_to(offer.asset)
        sent = value if value is not None else (offer.price if native else 0)
        wrong |= {"WrongValue"} if sent != (offer.price if native else 0) else set()
        if offer.price:
            way = self.tokens.stuck if native else self.tokens.refused
            wrong |= way(offer.token, payer, target, offer.price)
        if wrong or licence is None:
            return wrong
        if offer.price:
            self.tokens.move(offer.token, payer, target, offer.price)
            if not native:
                self.tokens.spend(offer.token, payer, offer.price)
        if offer.period:
            licence.expiry = max(licence.expiry, self.now) + offer.period
        if offer.uses:
            licence.granted += offer.uses
        return wrong

    def _expired(self, licence: Licence) -> bool:
        """The second of its expiry is the first at which a licence is no longer good."""
        return bool(licence.expiry) and self.now >= licence.expiry

    def use(self, licence_id: int, total: int, *, signed: bool = True) -> set[str]:
        licence = self.held.get(licence_id)
        if licence is None:
            return {"UnknownLicence"}
        wrong = {"BadSignature"} if not signed else set()
        wrong |= {"NotCounted"} if licence.granted == UNCOUNTED else set()
        wrong |= {"UseNotGrowing"} if total <= licence.used else set()
        wrong |= {"UsesExhausted"} if total > licence.granted else set()
        wrong |= {"Expired"} if self._expired(licence) else set()
        if not wrong:
            licence.used = total
        return wrong

    def _unsettled(self, offer: Offer, serial: int) -> tuple[Licence | None, set[str]]:
        licence = self.held.get(offer.id << 64 | serial)
        if licence is None:
            return None, {"UnknownLicence"}
        return licence, set() if licence.deadline else {"Settled"}

    def challenge(self, offer: Offer, serial: int, who: str) -> set[str]:
        licence, wrong = self._unsettled(offer, serial)
        if licence is None:
            return wrong
        wrong |= {"NotHolder"} if who not in (licence.owner, licence.payer) else set()
        wrong |= {"Expired"} if self.now >= licence.deadline > 0 else set()
        wrong |= {"AlreadyChallenged"} if licence.challenged else set()
        if not wrong:
            licence.challenged = self.now
        return wrong

    def _pay_out(self, licence: Licence, source: str, target: str) -> set[str]:
        price = licence.offer.price
        return self.tokens.stuck(licence.offer.token, source, target, price) if price else set()

    def acknowledge(self, offer: Offer, serial: int, *, signed: bool = True) -> set[str]:
        licence, wrong = self._unsettled(offer, serial)
        if licence is None:
            return wrong
        wrong |= {"BadSignature"} if not signed else set()
        target = self.pay_to(offer.asset)
        if not wrong:
            wrong |= self._pay_out(licence, self.licences, target)
        if not wrong:
            licence.deadline = licence.challenged = 0
            if offer.price:
                self.tokens.move(offer.token, self.licences, target, offer.price)
        return wrong

    def release(self, offer: Offer, serials: Sequence[int]) -> set[str]:
        wrong: set[str] = set()
        licences: list[Licence] = []
        for serial in serials:
            licence, bad = self._unsettled(offer, serial)
            wrong |= bad
            if licence is not None:
                wrong |= {"IsChallenged"} if licence.challenged else set()
                wrong |= {"NotYet"} if self.now < licence.deadline else set()
                wrong |= {"Settled"} if any(licence is x for x in licences) else set()
                licences.append(licence)
        total = offer.price * len(licences)
        if not wrong and total:
            target = self.pay_to(offer.asset)
            wrong |= self.tokens.stuck(offer.token, self.licences, target, total)
        if not wrong:
            for licence in licences:
                licence.deadline = 0
            if total:
                self.tokens.move(offer.token, self.licences, target, total)
        return wrong

    def refund(self, offer: Offer, serial: int, who: str, to: str) -> set[str]:
        licence, wrong = self._unsettled(offer, serial)
        if licence is None:
            return wrong
        owner = who == self.assets[offer.asset].owner
        late = licence.challenged and self.now >= licence.challenged + offer.window
        by_owner = owner and to == licence.payer
        by_payer = who == licence.payer and bool(late)
        if not by_owner and not by_payer:
            wrong |= {"WrongPayee"} if owner else set()
            if who == licence.payer:
                wrong |= {"NotYet", "NotAssetOwner"}
            if not owner and who != licence.payer:
                wrong |= {"NotAssetOwner", "NotHolder"}
        wrong = wrong or self._pay_out(licence, self.licences, to)
        if not wrong:
            del self.held[offer.id << 64 | serial]
            if offer.price:
                self.tokens.move(offer.token, self.licences, to, offer.price)
        return wrong

    def give(self, licence_id: int, who: str, source: str, target: str) -> set[str]:
        licence = self.held.get(licence_id)
        wrong = self._hook(target)
        if who != source and (source, who) not in self.approved:
            wrong |= {"ERC1155MissingApprovalForAll"}
        if licence is None or source != licence.owner:
            wrong |= {"ERC1155InsufficientBalance"}
        if licence is None:
            return wrong
        wrong |= {"NotTransferable"} if not licence.offer.transferable else set()
        wrong |= {"InRefundWindow"} if licence.deadline else set()
        wrong |= {"Expired"} if self._expired(licence) else set()
        if not wrong:
            licence.owner = target
        return wrong

    # wallets

    def withdraw(self, split: Split, token: str, *, pay: bool = True) -> set[str]:
        """Share what came in; without `pay` book it all as owed."""
        source = self.wallet(split.hash)
        wrong = bad_split(split)
        arrived = self.tokens.money[token, source] - self.reserved(split.hash, token)
        parts = [max(arrived, 0) * share // WHOLE for share in split.shares]
        if not any(parts):
            wrong.add("NothingToPay")
        if wrong:
            return wrong
        for payee, part in zip(split.payees, parts, strict=True):
            if not part:
                continue
            if not pay or self.tokens.stuck(token, source, payee, part):
                self.owed[split.hash, token, payee] += part
            else:
                self.tokens.move(token, source, payee, part)
        return wrong

    def claim(self, split: bytes, token: str, payee: str, to: str, who: str) -> set[str]:
        due = self.owed[split, token, payee]
        wrong = {"NothingToPay"} if not due else set()
        wrong |= {"NotPayee"} if to != payee and who != payee else set()
        if not wrong:
            stuck = self.tokens.stuck(token, self.wallet(split), to, due)
            if stuck:
                return stuck | {"FailedCall", "SafeERC20FailedOperation", "PaymentFailed"}
            self.owed[split, token, payee] = 0
            self.tokens.move(token, self.wallet(split), to, due)
        return wrong
