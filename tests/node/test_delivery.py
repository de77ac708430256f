"""Who gets what: licences that are not good, uses that were not bought, prices not paid."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.node.stub import (
    ASSET,
    CHAIN,
    CONTRACT,
    ELSE,
    HOLDER,
    NOW,
    OBJECT,
    OTHER,
    Answer,
    Node,
    grant_body,
    node,
    offer,
)

from usufruct.ledger.bindings.licences import domain
from usufruct.market.licences import sign_acknowledgement, sign_use
from usufruct.node.delivery import MAX_PROBES
from usufruct.types import AssetState, LicenceId, Use

ROOT = bytes.fromhex("77" * 32)
WHERE = domain(CHAIN, CONTRACT)
GRANT = f"/assets/{ASSET}/versions/1/grant"
PROBE = f"/assets/{ASSET}/versions/1/probe"


def paths(licence: str) -> list[tuple[str, str, bytes]]:
    """Everything that takes a licence."""
    base = f"/assets/{ASSET}/versions/1"
    return [
        ("GET", f"{base}/sealed?licence={licence}", b""),
        ("GET", f"{base}/objects/{OBJECT}?licence={licence}", b""),
        ("POST", f"{base}/grant", grant_body(licence)),
        ("POST", f"{base}/probe", grant_body(licence)),
    ]


def ask(running: Node, licence: LicenceId, *, path: str = GRANT, **more: Any) -> Answer:
    account = more.pop("account", HOLDER)
    return running.signed("POST", path, grant_body(licence, **more), account=account)


def use(licence: LicenceId, total: int, account: Any = HOLDER) -> dict[str, Any]:
    return {"total": total, "signature": sign_use(account, WHERE, licence, total).hex()}


def acknowledge(licence: LicenceId, root: bytes = ROOT, account: Any = HOLDER) -> dict[str, str]:
    return {"signature": sign_acknowledgement(account, WHERE, licence, root).hex()}


def test_licences_that_are_not_good(running: Node) -> None:
    index = running.index
    good = index.sell(offer())
    bad = {
        "forged": LicenceId(good[:48] + "00000000000000ff"),
        "of no offer": LicenceId("f" * 64),
        "someone else's": index.sell(offer(), holder=OTHER.address),
        "expired": index.sell(offer(), expiry=NOW),
        "refunded": index.sell(offer(), state="refunded"),
        "for another asset": index.sell(offer(asset=ELSE), asset=ELSE),
        "for another use": index.sell(offer(use=Use.COMPUTE)),
    }
    for why, licence in bad.items():
        for method, path, body in paths(licence):
            answer = running.signed(method, path, body)
            assert (answer.status, answer.json["error"]) == (403, "NotAllowed"), (why, path)
    assert not running.deliveries.granted
    for method, path, body in paths(good)[:3]:
        assert running.signed(method, path, body).status == 200
    text = running.ask("GET", "/metrics").body.decode()
    for reason in ("unknown", "holder", "expired", "refunded", "asset", "other"):
        assert f'usufruct_licences_refused_total{{reason="{reason}"}}' in text


def test_a_licence_bought_a_moment_ago_counts(running: Node) -> None:
    licence = running.index.sell(offer())
    record = running.index.sold.pop(licence)
    running.chain.news.append(lambda: running.index.sold.update({licence: record}))
    assert ask(running, licence).status == 200
    assert running.chain.readings == 1
    # what is good is not looked up again
    assert ask(running, licence).status == 200
    assert running.chain.readings == 1


def test_a_purchase_that_is_not_final(running: Node) -> None:
    licence = running.index.sell(offer(), block=5)
    running.chain.final = 4
    answer = ask(running, licence)
    assert answer.status == 503
    assert int(answer.headers["retry-after"]) > 0
    running.chain.final = 5
    assert ask(running, licence).status == 200


def test_no_keys_without_the_ledger(running: Node) -> None:
    licence = running.index.sell(offer())
    running.chain.lag = 1e9
    assert ask(running, licence).status == 503
    health = running.ask("GET", "/health")
    assert (health.status, health.json["status"]) == (503, "behind")
    sealed = f"/assets/{ASSET}/versions/1/sealed?licence={licence}"
    assert running.signed("GET", sealed).status == 200


def test_what_this_node_has_not(running: Node) -> None:
    licence = running.index.sell(offer())
    for path in (f"/assets/{ASSET}/versions/2/grant", f"/assets/{ASSET}/versions/4294967295/grant"):
        assert ask(running, licence, path=path).status == 404
    for number in ("0", "-1", "4294967296", "1.5", "x", "1e3", "²"):
        path = (
            f"/assets/{ASSET}/versions/{number.encode().hex() if number == '²' else number}/grant"
        )
        assert ask(running, licence, path=path).status in (400, 404)
    missing = f"/assets/{ASSET}/versions/1/objects/{'1' * 40}?licence={licence}"
    assert running.signed("GET", missing).status == 404


def test_uses_are_counted(running: Node) -> None:
    licence = running.index.sell(offer(uses=2))
    missing = ask(running, licence)
    assert missing.status == 403
    assert "0 of 2" in missing.json["message"]
    for wrong in (2, 3, 2**32 - 1):
        assert ask(running, licence, use=use(licence, wrong)).status == 403
    assert ask(running, licence, use=use(licence, 1, OTHER)).status == 422
    assert ask(running, licence, use={"total": 1, "signature": "00" * 65}).status == 422
    assert not running.memory.total(licence)

    assert ask(running, licence, use=use(licence, 1)).status == 200
    # the answer was lost: the same again, but nothing else for it
    assert ask(running, licence, use=use(licence, 1)).status == 200
    other = {"encryption_key": "22" * 32}
    assert ask(running, licence, use=use(licence, 1), **other).status == 403
    assert ask(running, licence, use=use(licence, 2), **other).status == 200
    assert ask(running, licence, use=use(licence, 1)).status == 403
    more = ask(running, licence, use=use(licence, 3))
    assert more.status == 403
    assert "all 2 uses" in more.json["message"]
    assert len(running.deliveries.granted) == 3
    # what is sealed is still there for who used all, and so is the last answer
    sealed = f"/assets/{ASSET}/versions/1/sealed?licence={licence}"
    running.index.change(licence, used=2)
    assert running.signed("GET", sealed).status == 200
    assert ask(running, licence, use=use(licence, 2), **other).status == 200


def test_uses_on_the_ledger_count(running: Node) -> None:
    licence = running.index.sell(offer(uses=5), used=3)
    assert ask(running, licence, use=use(licence, 1)).status == 403
    assert ask(running, licence, use=use(licence, 4)).status == 200
    running.index.change(licence, uses=6, used=5)
    assert ask(running, licence, use=use(licence, 5)).status == 403
    assert ask(running, licence, use=use(licence, 6)).status == 200


def test_uses_survive_a_restart(tmp_path: Path) -> None:
    with node(tmp_path / "node") as first:
        licence = first.index.sell(offer(uses=2))
        assert ask(first, licence, use=use(licence, 1)).status == 200
    with node(tmp_path / "node") as second:
        assert second.index.sell(offer(uses=2)) == licence
        assert ask(second, licence, use=use(licence, 1), encryption_key="33" * 32).status == 403
        assert ask(second, licence, use=use(licence, 2)).status == 200
        (kept,) = second.memory.open_uses()
        assert (kept.licence, kept.total) == (licence, 2)
        second.memory.settle_use(licence, 2)
        assert second.memory.open_uses() == []


def test_one_use_is_one_grant_for_many_at_once(running: Node) -> None:
    licence = running.index.sell(offer(uses=1))

    def take(number: int) -> int:
        key = f"{number:064x}"
        return ask(running, licence, use=use(licence, 1), encryption_key=key).status

    with ThreadPoolExecutor(8) as pool:
        statuses = list(pool.map(take, range(8)))
    assert sorted(statuses) == [200] + [403] * 7


@pytest.mark.parametrize("state", ["window", "challenged"])
def test_keys_wait_for_the_acknowledgement(running: Node, state: str) -> None:
    terms = offer(refund_window=86_400)
    licence = running.index.sell(terms, state=state, refund_deadline=NOW + 86_400)
    refused = ask(running, licence)
    assert refused.status == 403
    for wrong in (
        acknowledge(licence, bytes(32)),
        acknowledge(licence, ROOT, OTHER),
        acknowledge(LicenceId("0" * 64)),
    ):
        assert ask(running, licence, acknowledgement=wrong).status == 422
    assert running.memory.acknowledgement(licence) is None
    assert not running.deliveries.granted

    assert ask(running, licence, acknowledgement=acknowledge(licence)).status == 200
    kept = running.memory.acknowledgement(licence)
    assert kept is not None
    assert (kept.root, kept.signature.hex()) == (ROOT, acknowledge(licence)["signature"])
    # the word once given is given
    assert ask(running, licence).status == 200


def test_no_acknowledgement_where_nothing_is_at_stake(
    running: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("usufruct.node.delivery.can_probe", lambda sealed: True)
    free = running.index.sell(
        offer(price=0, refund_window=60), state="window", refund_deadline=NOW + 60
    )
    assert ask(running, free).status == 200
    # past the deadline by the node's clock: the ledger's may differ, so only its word counts
    over = running.index.sell(offer(refund_window=60), state="window", refund_deadline=NOW - 1)
    assert ask(running, over).status == 403
    assert ask(running, over, path=PROBE).status == 200
    done = running.index.sell(offer(refund_window=60), state="settled", refund_deadline=0)
    assert ask(running, done).status == 200
    # the chunk to try is for prices that can still be taken back
    assert ask(running, done, path=PROBE).status == 403


def test_a_revoked_asset_is_not_delivered(running: Node) -> None:
    licence = running.index.sell(offer())
    running.index.made[ASSET] = replace(running.index.made[ASSET], state=AssetState.REVOKED)
    assert ask(running, licence).status == 403


def test_a_small_asset_has_no_probe(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    terms = offer(refund_window=86_400)
    licence = running.index.sell(terms, state="window", refund_deadline=NOW + 86_400)
    monkeypatch.setattr("usufruct.node.delivery.can_probe", lambda sealed: False)
    assert ask(running, licence, path=PROBE).status == 403
    assert running.deliveries.probed == []


def test_probes_are_few_and_of_one_chunk(running: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("usufruct.node.delivery.can_probe", lambda sealed: True)
    terms = offer(refund_window=86_400)
    licence = running.index.sell(terms, state="window", refund_deadline=NOW + 86_400)
    statuses = [ask(running, licence, path=PROBE).status for _ in range(MAX_PROBES + 2)]
    assert statuses == [200] * MAX_PROBES + [403, 403]
    seeds = running.deliveries.probed
    assert len(set(seeds)) == 1  # asking again shows nothing more
    assert all(len(seed) == 32 for seed in seeds)


def test_the_grant_and_its_statement(running: Node) -> None:
    from usufruct.crypto import canonical, dsse
    from usufruct.evidence.statements import read_statement
    from usufruct.market.statements import read_grant

    licence = running.index.sell(offer())
    answer = ask(running, licence)
    assert canonical.unb64(answer.json["grant"]) == b"keys"
    envelope = dsse.Envelope.from_dict(answer.json["statement"])
    grant = read_grant(read_statement(envelope))
    assert (grant.licence, grant.holder, grant.asset) == (licence, HOLDER.address, ASSET)
    ((asset, number, about),) = running.deliveries.granted
    assert (asset, number, about["holder"]) == (ASSET, 1, HOLDER.address)
    assert json.loads(answer.body).keys() == {"grant", "statement"}
