"""Everything that people do in a market by chance, mostly what may succeed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eth_abi import encode
from tests.contracts.market_engine import typed
from tests.contracts.market_model import Licence
from tests.contracts.market_terms import (
    ACTIVE,
    COIN,
    RETIRED,
    REVOKED,
    UNCOUNTED,
    WHOLE,
    ZERO,
    Offer,
    Split,
    blob,
    leaf,
    opening,
)
from tests.contracts.market_world import ALL, KEYS, REGISTER, Choice, World, pick, rarely

from usufruct.crypto.hash import keccak256


class Steps(World):
    """One method a kind of step; `any_step` picks one."""

    # assets

    def _id(self, owner: str, salt: bytes) -> int:
        return int.from_bytes(keccak256(bytes.fromhex(owner[2:]) + salt))

    def _shape(self, by: Choice, asset: int, owner: str, needed: dict[str, int]) -> Split:
        """A split that gives everyone what is due, or seldom one that is wrong in some way."""
        shares = {payee: due for payee, due in needed.items() if due}
        others = [*self.everyone, *(self.model.wallet(known) for known in self.model.shapes)]
        left = WHOLE - sum(shares.values())
        for _ in range(by.number(0, 2)):
            payee, part = pick(by, others), pick(by, (1, 333_333, 100_000, 250_000))
            if part < left:
                shares[payee] = shares.get(payee, 0) + part
                left -= part
        if left > 0:
            shares[owner] = shares.get(owner, 0) + left
        order = sorted(shares, key=lambda payee: int(payee, 16))
        split = Split(asset, 1, tuple(order), tuple(shares[payee] for payee in order))
        return self._spoil(by, split, needed) if rarely(by, 10) else split

    def _spoil(self, by: Choice, split: Split, needed: dict[str, int]) -> Split:
        payees, shares = list(split.payees), list(split.shares)
        match by.number(0, 7):
            case 0:
                shares[0] += 1
            case 1:
                payees.reverse()
                shares.reverse()
            case 2:
                payees, shares = [*payees, payees[-1]], [*shares[:-1], shares[-1] - 1, 1]
            case 3:
                return split._replace(version=2)
            case 4:
                return split._replace(asset=split.asset ^ 1)
            case 5:
                payees, shares = [COIN, *payees], [1, shares[0] - 1, *shares[1:]]
            case 6:
                shares.append(1)
            case 7:
                short = next((p for p in payees if p in needed), payees[0])
                other = pick(by, [p for p in self.people if p != short])
                given = dict(zip(payees, shares, strict=True))
                given[short] -= 1
                given[other] = given.get(other, 0) + 1
                payees = sorted((p for p in given if given[p]), key=lambda p: int(p, 16))
                shares = [given[p] for p in payees]
        return split._replace(payees=tuple(payees), shares=tuple(shares))

    def _claims(self, by: Choice, owner: str, parents: list[int]) -> list[tuple[int, Offer]]:
        claims = []
        for parent in parents:
            mine = [
                number
                for number, licence in self.model.held.items()
                if licence.offer.asset == parent and (licence.owner == owner or rarely(by, 30))
            ]
            if mine and by.number(0, 2):
                number = pick(by, mine)
                serial = number % 2**64 + (9 if rarely(by, 30) else 0)
                claims.append((serial, self.model.held[number].offer))
        return claims

    def new_asset(self, by: Choice) -> None:
        model = self.tick()
        owner = pick(by, self.people)
        again = rarely(by) and bool(model.assets)
        if again:
            owner, salt = self.first
        else:
            self.salt += 1
            salt = self.salt.to_bytes(16, "big")
            self.first = (owner, salt) if not model.assets else self.first
        asset = self._id(owner, salt)
        pool = list(model.assets)
        parents = sorted({pick(by, pool) for _ in range(by.number(0, 3))}) if pool else []
        if rarely(by, 30):
            parents = sorted({*parents, 77})
        claims = self._claims(by, owner, parents)
        lowered = {offer.asset: offer.royalty for _, offer in claims}
        needed: dict[str, int] = {}
        for parent in parents:
            if parent in model.assets and model.assets[parent].owner != owner:
                to = model.pay_to(parent)
                due = lowered.get(parent, model.royalty[parent])
                needed[to] = needed.get(to, 0) + due
        split = None
        if (any(needed.values()) and not rarely(by)) or by.number(0, 2):
            split = self._shape(by, asset, owner, needed)
        split_hash = split.hash if split else ZERO
        if split and rarely(by, 30):
            split_hash = keccak256(b"another")
        publish = by.number(0, 3) > 0 and not again
        offers = [self._offer(by, asset) for _ in range(by.number(0, 2))] if publish else []
        shown = split
        if split and rarely(by, 30):
            shown, claims = None, []
        terms = blob(opening(shown, claims), offers)
        refusals = model.begin(
            asset,
            owner,
            shown,
            parents,
            claims,
            split_hash=split_hash,
            publish=publish,
            offers=offers,
        )
        if publish:
            args = (asset, salt, 0, b"\1" * 32, ZERO, split_hash, parents, "")
            self.step(owner, "Assets", "publish", (args, terms), refusals)
        else:
            args = (salt, 0, split_hash, parents, ZERO, "", terms)
            self.step(owner, "Assets", REGISTER, args, refusals)

    def new_version(self, by: Choice) -> None:
        model = self.tick()
        asset = pick(by, list(model.assets))
        record = model.assets[asset]
        who = pick(by, self.people) if rarely(by) else record.owner
        split = None
        if record.split == ZERO and by.number(0, 1):
            split = self._shape(by, asset, who, {})
        offers = [self._offer(by, asset) for _ in range(by.number(0, 2))]
        refusals = model.publish(asset, who, split, offers)
        split_hash = split.hash if split else ZERO
        args = (asset, bytes(16), 0, b"\2" * 32, ZERO, split_hash, [], "")
        terms = blob(opening(split), offers)
        self.step(who, "Assets", "publish", (args, terms), refusals)

    def set_state(self, by: Choice) -> None:
        model = self.tick()
        asset = pick(by, list(model.assets))
        record = model.assets[asset]
        if record.state == RETIRED:
            state = ACTIVE
        else:
            state = REVOKED if rarely(by, 20) else pick(by, (RETIRED, RETIRED, ACTIVE))
        who = pick(by, self.people) if rarely(by) else record.owner
        refusals = model.set_state(asset, who, state)
        self.step(who, "Assets", "setState", (asset, state), refusals)

    def give_asset(self, by: Choice) -> None:
        model = self.tick()
        asset = pick(by, list(model.assets))
        owner = model.assets[asset].owner
        who = pick(by, self.people) if rarely(by) else owner
        target = pick(by, self.people)
        refusals = model.give_asset(asset, who, target)
        self.step(who, "Assets", "transferFrom", (who, target, asset), refusals)

    def succeed(self, by: Choice) -> None:
        model = self.tick()
        current = [r.split for r in model.assets.values() if r.split != ZERO]
        if not current:
            return None
        if rarely(by):
            current = list(model.shapes)
        old = model.shapes[pick(by, current)]
        shares = dict(zip(old.payees, old.shares, strict=True))
        if rarely(by, 20):
            return self._succeed(by, old, old._replace(version=old.version + 1), ())
        loser = pick(by, old.payees)
        gainer = pick(by, [p for p in self.everyone if p != loser])
        part = pick(by, (1, shares[loser], (shares[loser] + 1) // 2))
        shares[loser] -= part
        shares[gainer] = shares.get(gainer, 0) + part
        order = sorted((p for p in shares if shares[p]), key=lambda p: int(p, 16))
        version = old.version + (2 if rarely(by, 20) else 1)
        new = Split(old.asset, version, tuple(order), tuple(shares[p] for p in order))
        if rarely(by, 20):
            new = self._spoil(by, new, {})
        falling = [p for p in old.payees if new.share(p) < old.share(p)]
        return self._succeed(by, old, new, falling)

    def _succeed(self, by: Choice, old: Split, new: Split, falling: Sequence[str]) -> None:
        digest = typed(
            "Usufruct Splits",
            self.on.splits,
            "Succession(uint256 asset,bytes32 from,bytes32 to)",
            old.asset,
            old.hash,
            new.hash,
        )
        shown = [self.sign(p, digest, wrong=rarely(by)) for p in falling]
        if rarely(by, 20):
            shown = shown[:-1]
        good = [
            payee
            for payee, (signature, ok) in zip(falling, shown, strict=False)
            if ok and signature
        ]
        refusals = self.model.succeed(old, new, good)
        args = (tuple(old), tuple(new), [signature for signature, _ in shown])
        self.step(pick(by, self.people), "Splits", "succeed", args, refusals)

    # offers

    def _offer(self, by: Choice, asset: int) -> Offer:
        if rarely(by, 30) and self.model.sales:
            return pick(by, list(self.model.sales.values())).offer
        self.salt += 1
        return Offer(
            asset=asset,
            use=4 if rarely(by, 40) else self.salt % 4,
            price=pick(by, (0, 1, 3, 99, 100, 12_345, 1_000_003)),
            token=pick(by, [*self.tokens, self.dollar, COIN, self.dollar]),
            period=pick(by, (0, 50, 5000, 0)),
            uses=pick(by, (0, 3, 1)),
            cap=pick(by, (0, 0, 2, 1)),
            window=2_592_001 if rarely(by, 40) else pick(by, (0, 100, 0, 3600)),
            royalty=1_000_001 if rarely(by, 40) else pick(by, (0, 200_000, 1, 500_000)),
            transferable=bool(by.number(0, 2)),
            root=self.list_root if rarely(by, 6) else ZERO,
            salt=self.salt,
        )

    def make_offers(self, by: Choice) -> None:
        model = self.tick()
        active = [a for a, record in model.assets.items() if record.state == ACTIVE]
        asset = pick(by, active if active and not rarely(by) else list(model.assets))
        who = pick(by, self.people) if rarely(by) else model.assets[asset].owner
        offers = [self._offer(by, asset) for _ in range(by.number(1, 3))]
        refusals = model.make_offers(who, offers)
        self.step(who, "Licences", "makeOffers", ([tuple(o) for o in offers],), refusals)

    def _sale(self, by: Choice, asset: int | None = None) -> Offer | None:
        if rarely(by, 40) and self.model.assets:
            return self._offer(by, pick(by, list(self.model.assets)))
        sales, assets = self.model.sales.values(), self.model.assets
        good = [sale.offer for sale in sales]
        if not rarely(by, 4):  # mostly what may succeed
            good = [
                sale.offer
                for sale in sales
                if sale.open
                and assets[sale.offer.asset].state == ACTIVE
                and not 0 < sale.offer.cap <= sale.sold
            ] or good
        return pick(by, good) if good else None

    def close(self, by: Choice) -> None:
        model = self.tick()
        offer = self._sale(by)
        if offer is None:
            return
        who = pick(by, self.people) if rarely(by) else model.assets[offer.asset].owner
        refusals = model.close(who, offer)
        self.step(who, "Licences", "closeOffer", (tuple(offer),), refusals)

    # licences

    def buy(self, by: Choice) -> None:
        model = self.tick()
        offer = self._sale(by)
        if offer is None:
            return
        payer = pick(by, self.people)
        holder = pick(by, [*self.everyone, COIN]) if rarely(by, 5) else payer
        if offer.root != ZERO and not rarely(by):
            holder = pick(by, self.listed)
        proof, listed = [], holder in self.listed
        if offer.root != ZERO:
            proof = [leaf(self.listed[1 - self.listed.index(holder) if listed else 0])]
            if rarely(by):
                proof, listed = [], False
        way = by.number(0, 2) if offer.token == self.dollar else 0
        value = offer.price if offer.token == COIN else 0
        if way == 0:
            if rarely(by, 20):
                value += 1
            refusals = model.buy(offer, payer, holder, listed=listed, value=value)
            args: tuple[Any, ...] = (tuple(offer), holder, proof)
            self.step(payer, "Licences", "buy", args, refusals, value=value)
        elif way == 1:
            self._buy_permitted(by, offer, payer, holder, proof, listed)
        else:
            self._buy_authorized(by, offer, payer, holder, proof, listed)

    def _buy_permitted(
        self, by: Choice, offer: Offer, payer: str, holder: str, proof: list[bytes], listed: bool
    ) -> None:
        model, allowed = self.model, self.model.tokens.allowed
        deadline = model.now + (0 if not rarely(by) else -1)
        digest = typed(
            "Test Dollar",
            self.dollar,
            "Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)",
            payer,
            self.on.licences,
            offer.price,
            self.permits.get(payer, 0),
            deadline,
        )
        signature, good = self.sign(payer, digest, wrong=rarely(by))
        good = good and deadline >= model.now and payer in [key.address for key in KEYS]
        before = allowed[self.dollar, payer]
        if good:
            allowed[self.dollar, payer] = offer.price
        refusals = model.buy(offer, payer, holder, listed=listed)
        if refusals:
            allowed[self.dollar, payer] = before
            if "ERC20InsufficientAllowance" in refusals:
                refusals |= {"ERC2612InvalidSigner", "ERC2612ExpiredSignature"}
        elif good:
            self.permits[payer] = self.permits.get(payer, 0) + 1
        r, s, v = signature[:32], signature[32:64], signature[64]
        args = (tuple(offer), holder, proof, deadline, v, r, s)
        self.step(payer, "Licences", "buyWithPermit", args, refusals)

    def _buy_authorized(
        self, by: Choice, offer: Offer, payer: str, holder: str, proof: list[bytes], listed: bool
    ) -> None:
        model = self.model
        salt = by.number(0, 9).to_bytes(32, "big")
        kinds = ["uint256", "address", "bytes32"]
        nonce = keccak256(encode(kinds, [offer.id, holder, salt]))
        after, before = model.now - 1, model.now + 1
        valid = True
        if rarely(by):
            after, before, valid = pick(
                by, ((model.now, model.now + 9, False), (0, model.now, False))
            )
        digest = typed(
            "Test Dollar",
            self.dollar,
            "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,"
            "uint256 validBefore,bytes32 nonce)",
            payer,
            self.on.licences,
            offer.price,
            after,
            before,
            nonce,
        )
        signature, good = self.sign(payer, digest, wrong=rarely(by))
        refusals = model.buy(
            offer,
            payer,
            holder,
            listed=listed,
            nonce=(payer, nonce),
            unsigned=set() if good else {"AuthorizationNotSigned"},
            valid=valid,
        )
        args = (tuple(offer), holder, proof, payer, after, before, salt, signature)
        self.step(pick(by, self.people), "Licences", "buyWithAuthorization", args, refusals)

    def _held(self, by: Choice, *, open_: bool | None = None) -> tuple[int, Licence] | None:
        """Some licence, mostly one whose window is (not) open."""
        pool = list(self.model.held.items())
        if open_ is not None and not rarely(by):
            pool = [pair for pair in pool if bool(pair[1].deadline) == open_]
        return pick(by, pool) if pool else None

    def renew(self, by: Choice) -> None:
        model = self.tick()
        found = self._held(by, open_=False)
        if found is None:
            return
        number, licence = found
        offer = licence.offer
        serial = number % 2**64 + (5 if rarely(by, 30) else 0)
        payer = pick(by, self.people)
        value = (offer.price if offer.token == COIN else 0) + (1 if rarely(by, 30) else 0)
        refusals = model.renew(offer, serial, payer, value)
        self.step(payer, "Licences", "renew", (tuple(offer), serial), refusals, value=value)

    def use(self, by: Choice) -> None:
        model = self.tick()
        counted = [(n, x) for n, x in model.held.items() if x.granted != UNCOUNTED]
        if not counted or rarely(by):
            counted = list(model.held.items())
        if not counted:
            return
        number, licence = pick(by, counted)
        number += 7 if rarely(by, 40) else 0
        total = licence.used + pick(by, (1, 1, 2, 3, 0))
        digest = self._use_digest(number, total)
        signature, good = self.sign(licence.owner, digest, wrong=rarely(by))
        refusals = model.use(number, total, signed=good)
        args = (number, total, signature)
        self.step(pick(by, self.people), "Licences", "recordUse", args, refusals)

    def _use_digest(self, number: int, total: int) -> bytes:
        struct = "Use(uint256 licence,uint32 total)"
        return typed("Usufruct Licences", self.on.licences, struct, number, total)

    def challenge(self, by: Choice) -> None:
        model = self.tick()
        found = self._held(by, open_=True)
        if found is None:
            return
        number, licence = found
        who = pick(by, self.people) if rarely(by, 6) else pick(by, (licence.owner, licence.payer))
        refusals = model.challenge(licence.offer, number % 2**64, who)
        args = (tuple(licence.offer), number % 2**64)
        self.step(who, "Licences", "challenge", args, refusals)

    def acknowledge(self, by: Choice) -> None:
        model = self.tick()
        found = self._held(by, open_=True)
        if found is None:
            return
        number, licence = found
        struct = "Acknowledgement(uint256 licence,bytes32 root)"
        root = b"\1" * 32
        digest = typed("Usufruct Licences", self.on.licences, struct, number, root)
        signature, good = self.sign(licence.owner, digest, wrong=rarely(by))
        refusals = model.acknowledge(licence.offer, number % 2**64, signed=good)
        args = (tuple(licence.offer), number % 2**64, root, signature)
        self.step(pick(by, self.people), "Licences", "acknowledge", args, refusals)

    def release(self, by: Choice) -> None:
        model = self.tick()
        found = self._held(by, open_=True)
        if found is None:
            return
        number, licence = found
        ready = [
            n % 2**64
            for n, x in model.held.items()
            if n >> 64 == number >> 64 and x.deadline and x.deadline < model.now
        ]
        serials = ready if ready and not rarely(by) else [number % 2**64]
        if rarely(by):
            serials = [*serials, pick(by, serials)]
        refusals = model.release(licence.offer, serials)
        args = (tuple(licence.offer), serials)
        self.step(pick(by, self.people), "Licences", "release", args, refusals)

    def refund(self, by: Choice) -> None:
        model = self.tick()
        found = self._held(by, open_=True)
        if found is None:
            return
        number, licence = found
        owner = model.assets[licence.offer.asset].owner
        who = pick(by, [owner, licence.payer, licence.payer, pick(by, self.people)])
        to = licence.payer if by.number(0, 3) else pick(by, self.everyone)
        refusals = model.refund(licence.offer, number % 2**64, who, to)
        args = (tuple(licence.offer), number % 2**64, to)
        self.step(who, "Licences", "refund", args, refusals)

    def give(self, by: Choice) -> None:
        model = self.tick()
        found = self._held(by, open_=False)
        if found is None:
            return
        number, licence = found
        number += 3 if rarely(by, 40) else 0
        source = pick(by, self.people) if rarely(by) else licence.owner
        who = pick(by, self.people) if rarely(by, 6) else source
        target = pick(by, [*self.everyone, COIN]) if rarely(by) else pick(by, self.people)
        refusals = model.give(number, who, source, target)
        args = (source, target, number, 1, b"")
        self.step(who, "Licences", "safeTransferFrom", args, refusals)

    def approve_all(self, by: Choice) -> None:
        model = self.tick()
        who, operator = pick(by, self.people), pick(by, self.people)
        yes = not rarely(by, 4)
        (model.approved.add if yes else model.approved.discard)((who, operator))
        self.step(who, "Licences", "setApprovalForAll", (operator, yes), set())

    # money

    def approve_dollars(self, by: Choice) -> None:
        model = self.tick()
        who, amount = pick(by, self.people), pick(by, (ALL, 0, 2_000_000))
        model.tokens.allowed[self.dollar, who] = amount
        args = (self.on.licences, amount)
        self.step(who, "TestDollar", "approve", args, set(), to=self.dollar)

    def income(self, by: Choice) -> None:
        """Money that reaches a wallet from outside, whether or not it is deployed."""
        model = self.tick()
        if not model.shapes:
            return
        wallet = model.wallet(pick(by, list(model.shapes)))
        token, who = pick(by, self.tokens), pick(by, self.people)
        amount = pick(by, (1, 2, 7, 999_999, 1_000_000, 123_456_789))
        if token == COIN:
            if not self.gifts:
                return
            model.tokens.move(COIN, who, wallet, amount)
            self.chain.do(who, wallet, b"", value=amount)
        elif not model.tokens.stuck(token, who, wallet, amount):
            model.tokens.move(token, who, wallet, amount)
            self.step(who, self.contracts[token], "transfer", (wallet, amount), set(), to=token)

    def withdraw(self, by: Choice) -> None:
        model = self.tick()
        if not model.shapes:
            return
        rich = [
            (split, token)
            for split in model.shapes.values()
            for token in self.tokens
            if model.tokens.money.get((token, model.wallet(split.hash)))
        ]
        if rich and not rarely(by):
            split, token = pick(by, rich)
        else:
            split, token = pick(by, list(model.shapes.values())), pick(by, self.tokens)
        if rarely(by, 30):
            split = self._spoil(by, split, {})
        pay = by.number(0, 4) > 0
        refusals = model.withdraw(split, token, pay=pay)
        function = "withdraw" if pay else "credit"
        self.step(pick(by, self.people), "Splits", function, (tuple(split), token), refusals)

    def claim(self, by: Choice) -> None:
        model = self.tick()
        due = [key for key, amount in model.owed.items() if amount]
        if due and not rarely(by):
            split, token, payee = pick(by, due)
        elif model.shapes:
            split, token = pick(by, list(model.shapes)), pick(by, self.tokens)
            payee = pick(by, self.everyone)
        else:
            return
        who = pick(by, [payee if payee in self.people else self.people[0], *self.people])
        to = payee if by.number(0, 1) else pick(by, self.everyone)
        refusals = model.claim(split, token, payee, to, who)
        self.step(who, "Splits", "claim", (split, token, payee, to), refusals)

    def wait(self, by: Choice) -> None:
        """Let time pass, mostly to just before, at or after the end of something."""
        ends = [
            end
            for licence in self.model.held.values()
            for end in (
                licence.expiry,
                licence.deadline,
                licence.challenged and licence.challenged + licence.offer.window,
            )
            if end > self.chain.time + 1
        ]
        if ends and by.number(0, 2):
            until = pick(by, ends) - pick(by, (1, 2, 0))
            self.chain.wait(max(until - self.chain.time, 0))
        else:
            self.chain.wait(pick(by, (1, 50, 100, 3600)))

    ACTIONS = (
        ("new_asset", 6), ("new_version", 3), ("set_state", 1), ("give_asset", 2), ("succeed", 3),
        ("make_offers", 4), ("close", 1), ("buy", 16), ("renew", 4), ("use", 5), ("challenge", 3),
        ("acknowledge", 3), ("release", 3), ("refund", 4), ("give", 4), ("approve_all", 1),
        ("approve_dollars", 1), ("income", 3), ("withdraw", 8), ("claim", 4), ("wait", 3),
    )  # fmt: skip

    def any_step(self, by: Choice) -> None:
        """One step of any kind."""
        if not self.model.assets:
            return self.new_asset(by)
        names = [name for name, weight in self.ACTIONS for _ in range(weight)]
        getattr(self, pick(by, names))(by)
        return None
