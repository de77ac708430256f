from __future__ import annotations

import pytest
from eth_abi import encode
from tests.contracts.evm import Contracts, Evm, call, events, refused

from usufruct.ledger.bindings import assets
from usufruct.ledger.bindings.calls import Call
from usufruct.types import ZERO_ADDRESS, Address, AssetId, AssetKind, AssetState

pytestmark = pytest.mark.engine

SALT = bytes(range(16))
ROOT = b"\x11" * 32
META = b"\x22" * 32
SPLIT = b"\x33" * 32
URI = "https://node.example/a"


class Owner:
    """One account at one deployment, with arguments that are good unless a test says otherwise."""

    def __init__(self, evm: Evm, on: Contracts, number: int = 1) -> None:
        self.evm = evm
        self.at = on.assets
        self.address = evm.accounts[number]

    def id(self, salt: bytes = SALT) -> AssetId:
        return assets.asset_id(self.address, salt)

    def draft(self, salt: bytes = SALT, **changes: object) -> Call:
        good = {"kind": AssetKind.MODEL, "metadata": META, "uri": URI}
        return assets.register(self.at, salt=salt, **(good | changes))  # type: ignore[arg-type]

    def version(self, salt: bytes = SALT, **changes: object) -> Call:
        good = {"asset": self.id(salt), "kind": AssetKind.MODEL, "root": ROOT, "metadata": META}
        return assets.publish(self.at, salt=salt, **(good | {"uri": URI} | changes))  # type: ignore[arg-type]

    def send(self, call: Call) -> list[object]:
        return events(assets, self.evm.send(call, self.address))

    def state(self, state: AssetState, salt: bytes = SALT) -> list[object]:
        return self.send(assets.set_state(self.at, self.id(salt), state))

    def asset(self, salt: bytes = SALT) -> assets.Asset:
        found = self.evm.ask(assets.asset(self.at, self.id(salt)))
        assert found is not None
        return found


@pytest.fixture
def ann(evm: Evm, on: Contracts) -> Owner:
    return Owner(evm, on, 1)


@pytest.fixture
def ben(evm: Evm, on: Contracts) -> Owner:
    return Owner(evm, on, 2)


def salt(number: int) -> bytes:
    return number.to_bytes(16, "big")


def family(owner: Owner, count: int) -> list[AssetId]:
    """Register that many drafts and return their ids in ascending order."""
    for number in range(count):
        owner.evm.send(owner.draft(salt(number)), owner.address)
    return sorted(owner.id(salt(number)) for number in range(count))


# ids


def test_id_is_the_hash_of_owner_and_salt(ann: Owner) -> None:
    there = ann.evm.ask_abi(ann.at, "assetId(address,bytes16)", [ann.address, SALT], "uint256")
    assert f"{there:064x}" == ann.id()


def test_nobody_can_take_anothers_id(ann: Owner, ben: Owner) -> None:
    with refused("UnknownAsset", asset=ann.id()):
        ben.send(ben.version(asset=ann.id()))
    ben.send(ben.draft())  # the same salt makes another id
    assert ann.evm.ask(assets.asset(ann.at, ann.id())) is None
    ann.send(ann.draft())


# register


def test_register_makes_a_draft(ann: Owner) -> None:
    parents = family(ann, 2)
    receipt = ann.evm.send(ann.draft(split_hash=SPLIT, parents=parents), ann.address)
    assert events(assets, receipt) == [
        assets.Transfer(ZERO_ADDRESS, ann.address, ann.id()),
        assets.AssetRegistered(
            ann.id(), ann.address, SALT, AssetKind.MODEL, SPLIT, META, tuple(parents), URI
        ),
    ]
    assert ann.asset() == assets.Asset(
        owner=ann.address,
        kind=AssetKind.MODEL,
        state=AssetState.DRAFT,
        versions=0,
        created_at=receipt.time,
        updated_at=receipt.time,
        latest_root=bytes(32),
        split_hash=SPLIT,
        parents_hash=assets.parents_hash(parents),
    )


@pytest.mark.parametrize("kind", list(AssetKind))
def test_every_kind_can_be_registered(ann: Owner, kind: AssetKind) -> None:
    ann.send(ann.draft(kind=kind))
    assert ann.asset().kind is kind


def test_kind_beyond_the_last_is_refused(ann: Owner) -> None:
    last = len(AssetKind) - 1
    assert ann.evm.ask_abi(ann.at, "LAST_KIND()", [], "uint8") == last
    signature = "register(bytes16,uint8,bytes32,uint256[],bytes32,string)"
    with refused("UnknownKind", kind=f"number {last + 1}"):
        ann.send(call(ann.at, signature, SALT, last + 1, SPLIT, [], META, URI))
    with refused(""):  # more than the type holds: Solidity's own check
        good = call(ann.at, signature, SALT, 255, SPLIT, [], META, URI).data
        word = (255).to_bytes(32, "big")
        ann.send(Call(ann.at, good.replace(word, (256).to_bytes(32, "big"))))


def test_registered_twice_is_refused(ann: Owner) -> None:
    ann.send(ann.draft())
    with refused("AssetExists", asset=ann.id()):
        ann.send(ann.draft())
    ann.send(ann.version())
    with refused("AssetExists", asset=ann.id()):
        ann.send(ann.draft())


def test_uri_has_at_most_1024_bytes(ann: Owner) -> None:
    assert ann.evm.ask_abi(ann.at, "MAX_URI()", [], "uint256") == assets.MAX_URI
    ann.send(ann.draft(uri="u" * 1024))
    ann.send(ann.version(uri="u" * 1024))
    with refused("UriTooLong", length=1025, limit=1024):
        ann.send(ann.draft(salt(9), uri="u" * 1025))
    with refused("UriTooLong", length=1025, limit=1024):
        ann.send(ann.version(uri="u" * 1025))
    with refused("UriTooLong", length=1025, limit=1024):
        ann.send(ann.version(salt(9), uri="u" * 1025))


# parents


def test_32_parents_are_the_most(ann: Owner) -> None:
    assert ann.evm.ask_abi(ann.at, "MAX_PARENTS()", [], "uint256") == assets.MAX_PARENTS
    parents = family(ann, 33)
    ann.send(ann.draft(parents=parents[:32]))
    assert ann.asset().parents_hash == assets.parents_hash(parents[:32])
    with refused("TooManyParents", count=33, limit=32):
        ann.send(_with_parents(ann, parents, salt(99)))


def test_parents_are_ascending_and_each_once(ann: Owner) -> None:
    low, high = family(ann, 2)
    with refused("ParentsNotAscending", parent=low):
        ann.send(_with_parents(ann, [high, low]))
    with refused("ParentsNotAscending", parent=low):
        ann.send(_with_parents(ann, [low, low]))
    ann.send(_with_parents(ann, [low, high]))


def test_parents_must_exist(ann: Owner) -> None:
    (known,) = family(ann, 1)
    for nobody in (AssetId("f" * 64), AssetId("0" * 64), ann.id()):  # the last: itself
        with refused("UnknownParent", parent=nobody):
            ann.send(ann.draft(parents=[nobody]))
        with refused("UnknownParent", parent=nobody):
            ann.send(ann.version(parents=[nobody]))
    ann.send(ann.version(parents=[known]))


def test_parents_may_be_anothers_in_any_state_but_revoked(ann: Owner, ben: Owner) -> None:
    ann.send(ann.draft())
    for number, state in enumerate(AssetState):
        if state is not AssetState.DRAFT and state is not AssetState.REVOKED:
            ann.send(ann.version())
        if state in (AssetState.RETIRED, AssetState.REVOKED):
            ann.state(state)
        if state is AssetState.REVOKED:
            with refused("RevokedParent", parent=ann.id()):
                ben.send(ben.draft(salt(number), parents=[ann.id()]))
        else:
            ben.send(ben.draft(salt(number), parents=[ann.id()]))
        if state is AssetState.RETIRED:
            ann.state(AssetState.ACTIVE)


def test_parent_revoked_later_stays_a_parent(ann: Owner, ben: Owner) -> None:
    ann.send(ann.version())
    ben.send(ben.draft(parents=[ann.id()]))
    ann.state(AssetState.REVOKED)
    ben.send(ben.version(parents=[ann.id()]))
    assert ben.asset().parents_hash == assets.parents_hash([ann.id()])


def test_parents_are_fixed_at_registration(ann: Owner) -> None:
    low, high = family(ann, 2)
    ann.send(ann.draft(parents=[low]))
    with refused("ParentsDiffer", asset=ann.id()):
        ann.send(ann.version(parents=[high]))
    with refused("ParentsDiffer", asset=ann.id()):
        ann.send(ann.version(parents=[low, high]))
    ann.send(ann.version(parents=[low]))
    ann.send(ann.version())
    assert ann.asset().parents_hash == assets.parents_hash([low])


def test_asset_without_parents_gets_none_later(ann: Owner) -> None:
    (parent,) = family(ann, 1)
    ann.send(ann.draft())
    with refused("ParentsDiffer", asset=ann.id()):
        ann.send(ann.version(parents=[parent]))


# publish


def test_publish_registers_a_new_asset(ann: Owner) -> None:
    (parent,) = family(ann, 1)
    receipt = ann.evm.send(ann.version(parents=[parent], split_hash=SPLIT), ann.address)
    assert events(assets, receipt) == [
        assets.Transfer(ZERO_ADDRESS, ann.address, ann.id()),
        assets.AssetRegistered(
            ann.id(), ann.address, SALT, AssetKind.MODEL, SPLIT, bytes(32), (parent,), ""
        ),
        assets.VersionPublished(ann.id(), 1, ROOT, META, URI),
    ]
    assert ann.asset() == assets.Asset(
        owner=ann.address,
        kind=AssetKind.MODEL,
        state=AssetState.ACTIVE,
        versions=1,
        created_at=receipt.time,
        updated_at=receipt.time,
        latest_root=ROOT,
        split_hash=SPLIT,
        parents_hash=assets.parents_hash([parent]),
    )


def test_first_version_makes_a_draft_active(ann: Owner) -> None:
    created = ann.evm.send(ann.draft(), ann.address).time
    receipt = ann.evm.send(ann.version(), ann.address)
    assert events(assets, receipt) == [assets.VersionPublished(ann.id(), 1, ROOT, META, URI)]
    now = ann.asset()
    assert (now.state, now.versions) == (AssetState.ACTIVE, 1)
    assert (now.created_at, now.updated_at) == (created, receipt.time)


def test_versions_count_up(ann: Owner) -> None:
    for number in range(1, 6):
        root = bytes([number]) * 32
        assert ann.send(ann.version(root=root))[-1] == assets.VersionPublished(
            ann.id(), number, root, META, URI
        )
        token = int(ann.id(), 16)
        assert ann.evm.ask_abi(ann.at, "versionCount(uint256)", [token], "uint32") == number
        assert ann.evm.ask_abi(ann.at, "latestRoot(uint256)", [token], "bytes32") == root


def test_later_version_does_not_read_the_salt(ann: Owner) -> None:
    ann.send(ann.version())
    later = assets.publish(ann.at, asset=ann.id(), kind=AssetKind.MODEL, root=ROOT, metadata=META)
    ann.send(later)
    assert ann.asset().versions == 2


def test_root_is_never_zero(ann: Owner) -> None:
    for _ in range(2):
        with refused("ZeroRoot"):
            ann.send(ann.version(root=bytes(32)))
        ann.evm.force(ann.draft(), ann.address)


def test_only_the_owner_publishes(ann: Owner, ben: Owner) -> None:
    ann.send(ann.version())
    with refused("NotAssetOwner", asset=ann.id(), owner=ann.address, caller=ben.address):
        ben.send(ben.version(asset=ann.id()))
    assert ann.asset().versions == 1


def test_kind_never_changes(ann: Owner) -> None:
    ann.send(ann.draft())
    with refused("KindDiffers", asset=ann.id(), kind="model"):
        ann.send(ann.version(kind=AssetKind.DATASET))


def test_open_split_is_fixed_once(ann: Owner) -> None:
    ann.send(ann.draft())
    assert ann.send(ann.version(split_hash=SPLIT)) == [
        assets.SplitFixed(ann.id(), SPLIT),
        assets.VersionPublished(ann.id(), 1, ROOT, META, URI),
    ]
    assert ann.asset().split_hash == SPLIT
    assert len(ann.send(ann.version(split_hash=SPLIT))) == 1
    assert len(ann.send(ann.version())) == 1
    with refused("SplitDiffers", asset=ann.id(), split=SPLIT.hex()):
        ann.send(ann.version(split_hash=ROOT))
    assert ann.asset().split_hash == SPLIT


def test_split_of_a_draft_is_fixed(ann: Owner) -> None:
    ann.send(ann.draft(split_hash=SPLIT))
    with refused("SplitDiffers", asset=ann.id(), split=SPLIT.hex()):
        ann.send(ann.version(split_hash=ROOT))


def test_refused_publish_changes_nothing(ann: Owner) -> None:
    ann.send(ann.draft())
    before = ann.asset()
    receipt = ann.evm.force(ann.version(split_hash=SPLIT, uri="u" * 1025), ann.address)
    assert not receipt.ok
    assert not receipt.logs
    assert ann.asset() == before


# states


@pytest.mark.parametrize("start", list(AssetState))
@pytest.mark.parametrize("wanted", list(AssetState))
def test_states(ann: Owner, start: AssetState, wanted: AssetState) -> None:
    legal = {
        (AssetState.DRAFT, AssetState.REVOKED),
        (AssetState.ACTIVE, AssetState.RETIRED),
        (AssetState.ACTIVE, AssetState.REVOKED),
        (AssetState.RETIRED, AssetState.ACTIVE),
        (AssetState.RETIRED, AssetState.REVOKED),
    }
    ann.send(ann.draft() if start is AssetState.DRAFT else ann.version())
    if start in (AssetState.RETIRED, AssetState.REVOKED):
        ann.state(start)
    before = ann.asset()
    assert before.state is start
    if (start, wanted) in legal:
        assert ann.state(wanted) == [assets.StateChanged(ann.id(), wanted)]
        after = ann.asset()
        assert after.state is wanted
        assert after.updated_at == before.updated_at + 1
    else:
        arguments = {"asset": ann.id(), "from": str(start), "to": str(wanted)}
        with refused("IllegalTransition", **arguments):
            ann.state(wanted)
        assert ann.asset() == before


def test_state_beyond_the_last_is_refused(ann: Owner) -> None:
    ann.send(ann.version())
    arguments = {"asset": ann.id(), "from": "active", "to": "number 4"}
    with refused("IllegalTransition", **arguments):
        ann.send(call(ann.at, "setState(uint256,uint8)", int(ann.id(), 16), 4))


def test_only_the_owner_changes_the_state(ann: Owner, ben: Owner) -> None:
    with refused("UnknownAsset", asset=ann.id()):
        ann.state(AssetState.REVOKED)
    ann.send(ann.version())
    with refused("NotAssetOwner", asset=ann.id(), owner=ann.address, caller=ben.address):
        ben.send(assets.set_state(ann.at, ann.id(), AssetState.REVOKED))


@pytest.mark.parametrize("state", [AssetState.RETIRED, AssetState.REVOKED])
def test_retired_or_revoked_takes_no_version(ann: Owner, state: AssetState) -> None:
    ann.send(ann.version())
    ann.state(state)
    with refused("NotPublishable", asset=ann.id(), state=str(state)):
        ann.send(ann.version())
    if state is AssetState.RETIRED:
        ann.state(AssetState.ACTIVE)
        ann.send(ann.version())
        assert ann.asset().versions == 2


# ERC-721


def test_new_owner_has_all_rights_and_the_old_one_none(ann: Owner, ben: Owner) -> None:
    ann.send(ann.version())
    give = assets.transfer(ann.at, sender=ann.address, receiver=ben.address, asset=ann.id())
    assert ann.send(give) == [assets.Transfer(ann.address, ben.address, ann.id())]
    assert ann.asset().owner == ben.address
    with refused("NotAssetOwner", asset=ann.id(), owner=ben.address, caller=ann.address):
        ann.send(ann.version())
    ben.send(ben.version(asset=ann.id()))
    assert ann.asset().versions == 2
    with refused("AssetExists", asset=ann.id()):
        ann.send(ann.draft())


def test_stranger_cannot_transfer(ann: Owner, ben: Owner) -> None:
    ann.send(ann.version())
    take = assets.transfer(ann.at, sender=ann.address, receiver=ben.address, asset=ann.id())
    with refused("ERC721InsufficientApproval", operator=ben.address, asset=ann.id()):
        ben.send(take)
    give = assets.transfer(ann.at, sender=ben.address, receiver=ann.address, asset=ann.id())
    with refused("ERC721IncorrectOwner", sender=ben.address, asset=ann.id(), owner=ann.address):
        ann.send(give)
    away = assets.transfer(ann.at, sender=ann.address, receiver=ZERO_ADDRESS, asset=ann.id())
    with refused("ERC721InvalidReceiver", receiver=ZERO_ADDRESS):
        ann.send(away)


def test_approved_may_transfer_but_not_publish_or_revoke(ann: Owner, ben: Owner) -> None:
    ann.send(ann.version())
    token = int(ann.id(), 16)
    assert ann.send(call(ann.at, "approve(address,uint256)", ben.address, token)) == [None]
    for attempt in (
        ben.version(asset=ann.id()),
        assets.set_state(ann.at, ann.id(), AssetState.REVOKED),
    ):
        with refused("NotAssetOwner", asset=ann.id(), owner=ann.address, caller=ben.address):
            ben.send(attempt)
    ben.send(assets.transfer(ann.at, sender=ann.address, receiver=ben.address, asset=ann.id()))
    assert ann.asset().owner == ben.address


def test_it_is_an_erc721_whose_token_uri_is_empty(ann: Owner) -> None:
    ann.send(ann.version())
    token = int(ann.id(), 16)
    ask = ann.evm.ask_abi
    for interface in ("01ffc9a7", "80ac58cd", "5b5e139f"):  # ERC-165, ERC-721, its metadata
        code = bytes.fromhex(interface)
        assert ask(ann.at, "supportsInterface(bytes4)", [code], "bool") is True
    assert ask(ann.at, "name()", [], "string") == "Usufruct Assets"
    assert ask(ann.at, "symbol()", [], "string") == "USUFRUCT"
    assert ask(ann.at, "ownerOf(uint256)", [token], "address") == ann.address
    assert ask(ann.at, "balanceOf(address)", [ann.address], "uint256") == 1
    assert ask(ann.at, "tokenURI(uint256)", [token], "string") == ""
    with refused("ERC721NonexistentToken", asset="0" * 64):
        ask(ann.at, "tokenURI(uint256)", [0], "string")


# offers

ECHO = bytes.fromhex("365f5f37365fa000")  # logs what it is called with
REFUSE = bytes.fromhex("5f5ffd")  # reverts


def _install(evm: Evm, code: bytes) -> Address:
    """Deploy bare runtime code of up to 32 bytes."""
    place = bytes([0x5F + len(code)]) + code + bytes.fromhex("5f52")
    return evm.deploy(place + bytes([0x60, len(code), 0x60, 32 - len(code), 0xF3]))


def test_without_licences_offers_are_refused(ann: Owner) -> None:
    assert ann.evm.ask(assets.licences(ann.at)) == ZERO_ADDRESS
    with refused("NoLicences"):
        ann.send(ann.version(offers=b"\x01"))
    assert ann.evm.ask(assets.asset(ann.at, ann.id())) is None
    ann.send(ann.version())


def test_offers_reach_licences_in_the_same_transaction(evm: Evm) -> None:
    shop = _install(evm, ECHO)
    ann = Owner(evm, evm.deploy_all(shop))
    assert evm.ask(assets.licences(ann.at)) == shop
    assert len(ann.send(ann.version())) == 3  # no offers, no call
    receipt = evm.send(ann.version(offers=b"some offers"), ann.address)
    published, echo = receipt.logs
    assert assets.decode_event(published.topics, published.data) == assets.VersionPublished(
        ann.id(), 2, ROOT, META, URI
    )
    assert echo.address == shop
    signature = "setOffers(uint256,uint32,address,bytes)"
    expected = call(shop, signature, int(ann.id(), 16), 2, ann.address, b"some offers")
    assert echo.data == expected.data


def test_offers_that_licences_refuses_undo_the_version(evm: Evm) -> None:
    ann = Owner(evm, evm.deploy_all(_install(evm, REFUSE)))
    ann.send(ann.version())
    before = ann.asset()
    with refused(""):
        ann.send(ann.version(offers=b"\x01"))
    assert not evm.force(ann.version(offers=b"\x01"), ann.address).ok
    assert ann.asset() == before


def test_licences_that_is_not_there_yet_refuses_offers(evm: Evm) -> None:
    ann = Owner(evm, evm.deploy_all(Address("0x" + "12" * 20)))
    with refused(""):
        ann.send(ann.version(offers=b"\x01"))
    ann.send(ann.version())


# the market's side


def test_sale_says_what_income_depends_on(ann: Owner) -> None:
    with refused("UnknownAsset", asset=ann.id()):
        ann.evm.ask(assets.sale(ann.at, ann.id()))
    ann.send(ann.draft())
    open_ = assets.Sale(AssetState.DRAFT, bytes(32), ann.address)
    assert ann.evm.ask(assets.sale(ann.at, ann.id())) == open_
    ann.send(ann.version(split_hash=SPLIT))
    fixed = assets.Sale(AssetState.ACTIVE, SPLIT, None)
    assert ann.evm.ask(assets.sale(ann.at, ann.id())) == fixed
    ann.send(ann.draft(salt(5), split_hash=SPLIT))
    drafted = assets.Sale(AssetState.DRAFT, SPLIT, None)
    assert ann.evm.ask(assets.sale(ann.at, ann.id(salt(5)))) == drafted
    ann.send(ann.version(salt(6), split_hash=SPLIT))
    assert ann.evm.ask(assets.sale(ann.at, ann.id(salt(6)))) == fixed


def test_without_a_market_nothing_carries_terms(ann: Owner) -> None:
    assert ann.evm.ask(assets.splits(ann.at)) == ZERO_ADDRESS
    with refused("NoLicences"):
        ann.send(ann.draft(terms=b"\x01"))


def test_terms_of_a_draft_reach_both_contracts(evm: Evm) -> None:
    shop, divider = _install(evm, ECHO), _install(evm, ECHO)
    ann = Owner(evm, evm.deploy_all(shop, divider))
    assert evm.ask(assets.splits(ann.at)) == divider
    receipt = evm.send(ann.draft(split_hash=SPLIT, terms=b"terms"), ann.address)
    number = int(ann.id(), 16)
    opened = "opened(uint256,address,bytes32,uint256[],bytes)"
    offered = "setOffers(uint256,uint32,address,bytes)"
    assert [(log.address, log.data) for log in receipt.logs[2:]] == [
        (divider, call(divider, opened, number, ann.address, SPLIT, [], b"terms").data),
        (shop, call(shop, offered, number, 0, ann.address, b"terms").data),
    ]


def test_licences_hears_of_every_change(evm: Evm) -> None:
    shop, divider = _install(evm, ECHO), _install(evm, ECHO)
    ann = Owner(evm, evm.deploy_all(shop, divider))
    ben = evm.accounts[2]
    heard = call(shop, "sync(uint256)", int(ann.id(), 16)).data

    def told(call: Call) -> int:
        logs = evm.send(call, ann.address).logs
        return sum((log.address, log.data) == (shop, heard) for log in logs)

    assert told(ann.version()) == 0
    assert told(ann.version()) == 0
    assert told(assets.set_state(ann.at, ann.id(), AssetState.RETIRED)) == 1
    assert told(assets.set_state(ann.at, ann.id(), AssetState.ACTIVE)) == 1
    assert told(ann.version(split_hash=SPLIT)) == 1
    gift = assets.transfer(ann.at, sender=ann.address, receiver=ben, asset=ann.id())
    assert told(gift) == 1


def test_only_splits_sets_a_split(ann: Owner) -> None:
    ann.send(ann.version(split_hash=SPLIT))
    with refused("NotSplits", caller=ann.address):
        ann.send(call(ann.at, "setSplit(uint256,bytes32)", int(ann.id(), 16), ROOT))


# what nobody can do


def test_contracts_take_no_money_and_have_no_fallback(evm: Evm, on: Contracts) -> None:
    for contract in (on.assets, on.anchors, on.parties):
        assert not evm.mine({"to": contract, "value": "0x1"}, evm.accounts[1]).ok
        with refused(""):
            evm.send(Call(contract, b"\xde\xad\xbe\xef"), evm.accounts[1])


def _with_parents(owner: Owner, parents: list[AssetId], salt: bytes = SALT) -> Call:
    """A draft whose parents go out as given, past the binding's own order and checks."""
    data = owner.draft().data
    selector, types = data[:4], ["bytes16", "uint8", "bytes32", "uint256[]", "bytes32", "string"]
    numbers = [int(parent, 16) for parent in parents]
    values = [salt, AssetKind.MODEL.number, bytes(32), numbers, META, URI]
    return Call(owner.at, selector + encode(types, values))
