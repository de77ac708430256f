"""What the index keeps of the market: one row an event, so undoing a block is deleting its rows.

Where a sum of money went is decided when its event is read, by the split or owner in force at that
moment; expiry, uses and deadlines are computed from the offer and the block's time, exactly as the
contract Licences does.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from usufruct.ledger.answers import BadAnswer
from usufruct.ledger.bindings import licences, splits, tokens
from usufruct.ledger.bindings.offers import Offer, split_licence
from usufruct.ledger.network import Network
from usufruct.ledger.views import LogEntry
from usufruct.types import ZERO_ADDRESS, Address, AssetId, LicenceId

MARKET_SCHEMA: Final = """
    CREATE TABLE offers (
        block INTEGER, position INTEGER, tx TEXT, id TEXT PRIMARY KEY, asset TEXT, terms BLOB);
    CREATE INDEX offers_by_asset ON offers (asset, block, position);
    CREATE TABLE closings (
        block INTEGER, position INTEGER, id TEXT PRIMARY KEY);
    CREATE TABLE licences (
        block INTEGER, position INTEGER, tx TEXT, id TEXT PRIMARY KEY, offer TEXT, serial INTEGER,
        payer TEXT, expiry INTEGER, uses INTEGER, deadline INTEGER);
    CREATE INDEX licences_by_offer ON licences (offer, serial);
    CREATE TABLE holders (
        block INTEGER, position INTEGER, place INTEGER, id TEXT, value TEXT,
        PRIMARY KEY (block, position, place));
    CREATE INDEX holders_by_licence ON holders (id, block, position, place);
    CREATE INDEX holders_by_value ON holders (value);
    CREATE TABLE renewals (
        block INTEGER, position INTEGER, id TEXT, expiry INTEGER, uses INTEGER,
        PRIMARY KEY (block, position));
    CREATE INDEX renewals_by_licence ON renewals (id, block, position);
    CREATE TABLE uses (
        block INTEGER, position INTEGER, id TEXT, total INTEGER, PRIMARY KEY (block, position));
    CREATE INDEX uses_by_licence ON uses (id, total);
    CREATE TABLE settlings (
        block INTEGER, position INTEGER, id TEXT, state TEXT, PRIMARY KEY (block, position));
    CREATE INDEX settlings_by_licence ON settlings (id, block, position);
    CREATE TABLE purchases (
        block INTEGER, position INTEGER, tx TEXT, licence TEXT, offer TEXT, holder TEXT, payer TEXT,
        pay_to TEXT, kind TEXT, PRIMARY KEY (block, position));
    CREATE INDEX purchases_by_offer ON purchases (offer, block, position);
    CREATE TABLE shares (
        block INTEGER, position INTEGER, tx TEXT, digest BLOB PRIMARY KEY, asset TEXT, split BLOB);
    CREATE INDEX shares_by_asset ON shares (asset, block, position);
    CREATE TABLE payments (
        block INTEGER, position INTEGER, tx TEXT, digest BLOB, token TEXT, payee TEXT,
        receiver TEXT, amount TEXT, kind TEXT, PRIMARY KEY (block, position));
    CREATE INDEX payments_by_digest ON payments (digest, block, position);
    CREATE INDEX payments_by_payee ON payments (payee, block, position);
    CREATE TABLE balances (
        block INTEGER, position INTEGER, side INTEGER, token TEXT, owner TEXT, amount TEXT,
        PRIMARY KEY (block, position, side));
    CREATE INDEX balances_by_owner ON balances (token, owner, block, position, side)
    """

MARKET_TABLES: Final = (
    *("offers", "closings", "licences", "holders", "renewals", "uses", "settlings"),
    *("purchases", "shares", "payments", "balances"),
)

MARKET_TOPICS: Final = (*licences.EVENTS, *splits.EVENTS)
"""First topics of the market's events, but for a token's Transfer, which is an asset's too."""

_LATEST_TIME = 2**32 - 1

Write = Callable[..., Any]


def keep_market(write: Write, network: Network, log: LogEntry, event: Any) -> bool:
    """Write the rows of a decoded event and return whether it was one of the market's.

    Raises
    ------
    BadAnswer
        An event that no contract can have emitted after those before it.
    """
    at = (log.block_number, log.position)
    if isinstance(event, tokens.Transfer):
        _keep_transfer(write, log, event)
    elif isinstance(event, splits.SplitMade):
        _check_new(write, "SELECT 1 FROM shares WHERE digest = ?", event.digest, "a split")
        row = (event.digest, event.split.asset, event.split.encode())
        write("INSERT INTO shares VALUES (?,?,?, ?,?,?)", (*at, log.tx_hash, *row))
    elif isinstance(event, splits.Paid | splits.Claimed | splits.Owed):
        receiver = event.payee if isinstance(event, splits.Owed) else event.to
        money = (event.digest, event.token, event.payee, receiver, str(event.amount))
        kind = type(event).__name__.lower()
        write("INSERT INTO payments VALUES (?,?,?, ?,?,?,?,?,?)", (*at, log.tx_hash, *money, kind))
    elif isinstance(event, licences.OfferMade):
        _check_new(write, "SELECT 1 FROM offers WHERE id = ?", event.offer_id, "an offer")
        made = (event.offer_id, event.offer.asset, event.offer.encode())
        write("INSERT INTO offers VALUES (?,?,?, ?,?,?)", (*at, log.tx_hash, *made))
    elif isinstance(event, licences.OfferClosed):
        _offer(write, event.offer_id)
        _check_new(write, "SELECT 1 FROM closings WHERE id = ?", event.offer_id, "a closed offer")
        write("INSERT INTO closings VALUES (?,?,?)", (*at, event.offer_id))
    elif isinstance(event, licences.LicenceMoved):
        _keep_moves(write, network, log, (event,))
    elif isinstance(event, tuple):
        _keep_moves(write, network, log, event)
    elif isinstance(event, licences.PayerNoted):
        pass  # the operator of the purchase says it already
    else:
        return _keep_licence_event(write, network, log, event)
    return True


def _keep_licence_event(write: Write, network: Network, log: LogEntry, event: Any) -> bool:
    at = (log.block_number, log.position)
    if isinstance(event, licences.Renewed):
        _licence(write, event.licence)
        row = (event.licence, event.expiry, event.uses)
        write("INSERT INTO renewals VALUES (?,?, ?,?,?)", (*at, *row))
        _keep_purchase(write, network, log, event.licence, None, None, "renewal")
    elif isinstance(event, licences.Used):
        _licence(write, event.licence)
        write("INSERT INTO uses VALUES (?,?,?,?)", (*at, event.licence, event.total))
    elif isinstance(event, licences.Challenged):
        _settle(write, at, event.licence, "challenged")
    elif isinstance(event, licences.Acknowledged | licences.Released):
        payer = _settle(write, at, event.licence, "settled")
        _keep_purchase(write, network, log, event.licence, payer, None, "release")
    elif isinstance(event, licences.Refunded):
        payer = _settle(write, at, event.licence, "refunded")
        _keep_purchase(write, network, log, event.licence, payer, event.to, "refund")
    else:
        return False
    return True


def _keep_moves(
    write: Write, network: Network, log: LogEntry, moves: tuple[licences.LicenceMoved, ...]
) -> None:
    at = (log.block_number, log.position)
    for place, move in enumerate(moves):
        if move.amount != 1:
            raise BadAnswer(f"{move.amount} licences of one id that moved")
        if move.sender == ZERO_ADDRESS:
            _keep_sale(write, network, log, move)
        elif _holder(write, move.licence) != move.sender:
            raise BadAnswer(f"the licence {move.licence} moved by another than its holder")
        if move.receiver != ZERO_ADDRESS:  # a refunded licence is remembered as its holder's
            row = (place, move.licence, move.receiver)
            write("INSERT INTO holders VALUES (?,?, ?,?,?)", (*at, *row))


def _keep_sale(write: Write, network: Network, log: LogEntry, move: licences.LicenceMoved) -> None:
    offer_id, serial = split_licence(move.licence)
    offer = _offer(write, offer_id)
    query = "SELECT MAX(serial) FROM licences WHERE offer = ?"
    sold = write(query, (offer_id,)).fetchone()[0] or 0
    if serial != sold + 1:
        raise BadAnswer(f"licence {serial} of an offer after licence {sold}")
    (now,) = write("SELECT time FROM blocks WHERE block = ?", (log.block_number,)).fetchone()
    expiry = min(now + offer.period, _LATEST_TIME) if offer.period else 0
    deadline = (now + offer.refund_window) % 2**32 if offer.refund_window else 0
    row = (move.licence, offer_id, serial, move.operator)
    times = (expiry, offer.uses or licences.UNCOUNTED, deadline)
    at = (log.block_number, log.position, log.tx_hash)
    write("INSERT INTO licences VALUES (?,?,?, ?,?,?,?, ?,?,?)", (*at, *row, *times))
    # with a window the price waits in the contract
    pay_to = log.address if offer.refund_window else _income(write, network, offer.asset)
    bought = (move.licence, offer_id, move.receiver, move.operator, pay_to, "sale")
    write("INSERT INTO purchases VALUES (?,?,?, ?,?,?,?,?,?)", (*at, *bought))


def _keep_purchase(
    write: Write,
    network: Network,
    log: LogEntry,
    licence: LicenceId,
    payer: Address | None,
    to: Address | None,
    kind: str,
) -> None:
    offer_id, _ = split_licence(licence)
    pay_to = to or _income(write, network, _offer(write, offer_id).asset)
    row = (licence, offer_id, _holder(write, licence), payer, pay_to, kind)
    at = (log.block_number, log.position, log.tx_hash)
    write("INSERT INTO purchases VALUES (?,?,?, ?,?,?,?,?,?)", (*at, *row))


def _keep_transfer(write: Write, log: LogEntry, event: tokens.Transfer) -> None:
    amounts = ((0, event.sender, -event.amount), (1, event.receiver, event.amount))
    for side, owner, amount in amounts:
        if owner == ZERO_ADDRESS:
            continue
        balance = balance_of(write, log.address, owner) + amount
        if balance < 0:
            raise BadAnswer(f"{owner} paid more of a token than it had")
        row = (log.block_number, log.position, side, log.address, owner, str(balance))
        write("INSERT INTO balances VALUES (?,?,?, ?,?,?)", row)


def balance_of(write: Write, token: Address, owner: Address) -> int:
    """Return how much of a token an account has by the events kept."""
    query = """SELECT amount FROM balances WHERE token = ? AND owner = ?
        ORDER BY block DESC, position DESC, side DESC LIMIT 1"""
    found = write(query, (token, owner)).fetchone()
    return int(found[0]) if found else 0


def _settle(write: Write, at: tuple[int, int], licence: LicenceId, state: str) -> Address:
    """Write what became of an unsettled licence's price and return who had paid it."""
    payer, deadline = _licence(write, licence)
    query = "SELECT state FROM settlings WHERE id = ? ORDER BY block DESC, position DESC LIMIT 1"
    before = write(query, (licence,)).fetchone()
    if not deadline or (before and (before[0] != "challenged" or state == "challenged")):
        raise BadAnswer(f"the licence {licence} is {state} after it was settled or challenged")
    write("INSERT INTO settlings VALUES (?,?,?,?)", (*at, licence, state))
    return payer


def _income(write: Write, network: Network, asset: AssetId) -> Address:
    """Return where an asset's income goes by the events kept so far."""
    order = "WHERE id = ? ORDER BY block DESC, position DESC LIMIT 1"
    split = write(f"SELECT value FROM splits {order}", (asset,)).fetchone()  # noqa: S608
    owner = write(f"SELECT value FROM owners {order}", (asset,)).fetchone()  # noqa: S608
    if split is None or owner is None:
        raise BadAnswer(f"a sale of the asset {asset} without its registration")
    if not any(split[0]) or "Splits" not in network.contracts:
        return Address(owner[0])
    place = network.address("Splits")
    return splits.wallet_address(place, splits.wallet_implementation(place), split[0])


def _offer(write: Write, offer_id: str) -> Offer:
    found = write("SELECT terms FROM offers WHERE id = ?", (offer_id,)).fetchone()
    if found is None:
        raise BadAnswer(f"events of the offer {offer_id} before it was made")
    return Offer.decode(found[0])


def _licence(write: Write, licence: LicenceId) -> tuple[Address, int]:
    query = "SELECT payer, deadline FROM licences WHERE id = ?"
    found = write(query, (licence,)).fetchone()
    if found is None:
        raise BadAnswer(f"events of the licence {licence} before it was sold")
    return Address(found[0]), int(found[1])


def _holder(write: Write, licence: LicenceId) -> Address:
    _licence(write, licence)
    query = """SELECT value FROM holders WHERE id = ?
        ORDER BY block DESC, position DESC, place DESC LIMIT 1"""
    return Address(write(query, (licence,)).fetchone()[0])


def _check_new(write: Write, query: str, key: object, what: str) -> None:
    if write(query, (key,)).fetchone() is not None:
        raise BadAnswer(f"{what} that is there already")
