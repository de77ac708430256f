"""Parties, Anchors and Assets against a model in Python, step by step."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.contracts.evm import Evm, Log
from tests.contracts.model import Model, Record, replay

from usufruct.errors import TransactionReverted
from usufruct.ledger.bindings import anchors, assets, parties
from usufruct.ledger.bindings.calls import Call
from usufruct.types import Address, AssetId, AssetKind, AssetState

pytestmark = pytest.mark.engine

WHO = st.integers(0, 2)
SALTS = st.integers(0, 1).map(lambda n: n.to_bytes(16, "big"))
# What is refused comes seldom, or hardly any step would get past all checks.
WORDS = st.sampled_from([bytes([n]) * 32 for n in (1, 2, 255, 1, 2, 255, 0)])
URIS = st.sampled_from(["https://a.example/ä", "n", "", "n" * 512, "u" * 1024, "u" * 1025])
KINDS = st.sampled_from([AssetKind.DATASET, AssetKind.DATASET, AssetKind.MODEL])
STATES = st.sampled_from([AssetState.RETIRED] * 4 + [AssetState.ACTIVE] * 2 + list(AssetState))
SIZES = st.one_of(st.integers(0, 5), st.integers(0, 2**64 - 1))


class Contracts(RuleBasedStateMachine):
    evm: Evm

    @initialize()
    def deploy(self) -> None:
        self.on = self.evm.deploy_all()
        self.model = Model()
        self.logs: list[Log] = []
        self.touched: set[AssetId] = set()

    def step(
        self, call: Call, sender: Address, refusals: set[str], apply: Callable[[int], None]
    ) -> None:
        try:
            receipt = self.evm.send(call, sender)
        except TransactionReverted as error:
            assert error.name in refusals, (error.name, refusals)
        else:
            assert not refusals
            self.logs += receipt.logs
            apply(receipt.time)

    def account(self, number: int) -> Address:
        return self.evm.accounts[number]

    @rule(who=WHO, signing=WORDS, encryption=WORDS, name=URIS, node=URIS)
    def party(self, who: int, signing: bytes, encryption: bytes, name: str, node: str) -> None:
        me = self.account(who)
        name = name[: 128 if len(name) == 512 else 200]

        def apply(time: int) -> None:
            self.model.parties[me] = (signing, encryption, time)

        call = parties.register(
            self.on.parties, signing_key=signing, encryption_key=encryption, name=name, node=node
        )
        self.step(call, me, self.model.no_party(signing, encryption, name, node), apply)
        held = self.evm.ask(parties.keys(self.on.parties, me))
        known = self.model.parties.get(me)
        assert held == (parties.Keys(*known) if known else None)

    @rule(who=WHO, name=WORDS, size=SIZES, root=WORDS)
    def anchor(self, who: int, name: bytes, size: int, root: bytes) -> None:
        me = self.account(who)

        def apply(_: int) -> None:
            self.model.heads[me, name] = (size, root)

        call = anchors.anchor(self.on.anchors, name=name, size=size, root=root)
        self.step(call, me, self.model.no_anchor(me, name, size), apply)
        held = self.evm.ask(anchors.head(self.on.anchors, me, name))
        known = self.model.heads.get((me, name))
        assert (held is None) == (known is None)
        assert held is None or known is None or held.matches(*known)

    @rule(who=WHO, digest=WORDS)
    def note(self, who: int, digest: bytes) -> None:
        self.step(anchors.note(self.on.anchors, digest), self.account(who), set(), lambda _: None)

    def choose(self, data: st.DataObject, strange: AssetId) -> AssetId:
        return data.draw(st.sampled_from([*self.model.assets, strange]))

    def parents(self, data: st.DataObject, strange: AssetId) -> list[AssetId]:
        pool = [*self.model.assets] or [strange]
        few = data.draw(st.lists(st.sampled_from(pool), unique=True, max_size=4))
        return few + [strange] * (data.draw(st.integers(0, 9)) == 0 and strange not in few)

    @rule(data=st.data(), who=WHO, salt=SALTS, kind=KINDS, split=WORDS, uri=URIS)
    def draft(
        self, data: st.DataObject, who: int, salt: bytes, kind: AssetKind, split: bytes, uri: str
    ) -> None:
        me = self.account(who)
        asset = assets.asset_id(me, salt)
        parents = self.parents(data, asset)

        def apply(time: int) -> None:
            self.model.assets[asset] = Record(me, kind, split, tuple(sorted(parents)), time, time)

        call = assets.register(
            self.on.assets,
            salt=salt,
            kind=kind,
            metadata=split,
            split_hash=split,
            parents=parents,
            uri=uri,
        )
        self.touched.add(asset)
        self.step(call, me, self.model.no_draft(asset, parents, uri), apply)

    @rule(
        data=st.data(), who=WHO, salt=SALTS, kind=KINDS, root=WORDS, split=WORDS, uri=URIS,
        offers=st.sampled_from([b""] * 9 + [b"x"]),
    )  # fmt: skip
    def version(
        self,
        data: st.DataObject,
        who: int,
        salt: bytes,
        kind: AssetKind,
        root: bytes,
        split: bytes,
        uri: str,
        offers: bytes,
    ) -> None:
        me = self.account(who)
        derived = assets.asset_id(me, salt)
        asset = self.choose(data, derived)
        held = self.model.assets.get(asset)
        parents: list[AssetId] = []
        if held is not None and data.draw(st.integers(0, 3)):  # mostly what may succeed
            me, kind, split = held.owner, held.kind, data.draw(st.sampled_from([bytes(32), split]))
            parents = list(held.parents) if data.draw(st.booleans()) else []
        elif held is None or data.draw(st.booleans()):
            parents = self.parents(data, derived)
        refusals = self.model.no_version(
            me, assets.asset_id(me, salt), asset, kind, root, split, parents, uri, offers
        )

        def apply(time: int) -> None:
            record = self.model.assets.setdefault(
                asset, Record(me, kind, split, tuple(sorted(parents)), time, time)
            )
            if any(split):
                record.split = split
            self.model.publish(asset, root, time)

        call = assets.publish(
            self.on.assets,
            asset=asset,
            kind=kind,
            root=root,
            metadata=split,
            salt=salt,
            split_hash=split,
            parents=parents,
            uri=uri,
            offers=offers,
        )
        self.touched.add(asset)
        self.step(call, me, refusals, apply)

    @precondition(lambda self: self.model.assets)
    @rule(data=st.data(), who=st.one_of(st.none(), WHO), state=STATES)
    def state(self, data: st.DataObject, who: int | None, state: AssetState) -> None:
        asset = self.choose(data, AssetId("e" * 64))
        held = self.model.assets.get(asset)
        me = held.owner if held and who is None else self.account(who or 0)
        call = assets.set_state(self.on.assets, asset, state)
        self.touched.add(asset)
        self.step(
            call,
            me,
            self.model.no_state(me, asset, state),
            lambda time: self.model.set_state(asset, state, time),
        )

    @precondition(lambda self: self.model.assets)
    @rule(data=st.data(), who=WHO, receiver=WHO)
    def transfer(self, data: st.DataObject, who: int, receiver: int) -> None:
        asset = self.choose(data, AssetId("e" * 64))
        me, other = self.account(who), self.account(receiver)

        def apply(_: int) -> None:
            self.model.assets[asset].owner = other

        call = assets.transfer(self.on.assets, sender=me, receiver=other, asset=asset)
        self.touched.add(asset)
        self.step(call, me, self.model.no_transfer(me, asset), apply)

    @invariant()
    def assets_agree(self) -> None:
        for asset in self.touched:
            self._compare(asset)
        self.touched.clear()

    def teardown(self) -> None:
        if hasattr(self, "model"):
            for asset in self.model.assets:  # whatever happened to others in between
                self._compare(asset)
            assert replay(self.logs) == self.model

    def _compare(self, asset: AssetId) -> None:
        known = self.model.assets.get(asset)
        held = self.evm.ask(assets.asset(self.on.assets, asset))
        assert held == (known.as_asset() if known else None)


def run(evm: Evm, examples: int, steps: int, *, derandomize: bool) -> None:
    class Machine(Contracts):
        pass

    Machine.evm = evm
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=steps,
            deadline=None,
            derandomize=derandomize,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_contracts_do_what_the_model_does(evm: Evm) -> None:
    run(evm, 30, 50, derandomize=True)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_contracts_do_what_the_model_does_for_long(evm: Evm) -> None:
    run(evm, 400, 80, derandomize=False)
