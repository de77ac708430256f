"""A changed bundle never verifies: every place in a real bundle of each kind, changed each way.

The checksum is made right again after each change, as an attacker would, so what is tested is the
evidence itself.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.evidence.factory import FakeLedger, Story

from usufruct.crypto import canonical
from usufruct.errors import VerificationError
from usufruct.evidence.bundle import checksum
from usufruct.evidence.verify import verify_bundle

KINDS = ("dataset", "version", "file", "row", "prediction")
Path = tuple[Any, ...]

WEAKER = {("manifest",), ("claim", "input"), ("claim", "output")}
"""Places where null makes a good bundle that says less."""


def reseal(value: Any) -> bytes:
    """Encode a changed bundle with a right checksum."""
    if isinstance(value, dict):
        value = {name: item for name, item in value.items() if name != "checksum"}
        value["checksum"] = checksum(value)
    return canonical.dumps(value, max_depth=100)


def places(value: Any, path: Path = ()) -> Iterator[Path]:
    """Yield the path of everything in a document."""
    yield path
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from places(item, (*path, index))


def at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def put(value: Any, path: Path, new: Any) -> Any:
    """Return a copy with another value at `path`."""
    if not path:
        return new
    changed = copy.deepcopy(value)
    at(changed, path[:-1])[path[-1]] = new
    return changed


def flip(text: str, where: int) -> str:
    """Return text with one character another of the same sort."""
    old = text[where]
    new = "1" if old == "0" else "0" if old.isdigit() else "B" if old == "A" else "A"
    if old in "bcdef":
        new = "a"
    elif old == "a":
        new = "b"
    return text[:where] + new + text[where + 1 :]


def changes(value: Any, path: Path) -> Iterator[Any]:
    """Yield documents with one change at `path`."""
    old = at(value, path)
    for new in (None, True, 0, "", [], {}, -1, "0" * 64):
        if new != old or type(new) is not type(old):
            yield put(value, path, new)
    if path:
        gone = copy.deepcopy(value)
        del at(gone, path[:-1])[path[-1]]
        yield gone
    if isinstance(old, bool):
        yield put(value, path, not old)
    elif isinstance(old, int):
        for new in (old + 1, old - 1, old * 2 + 1, 2**52):
            yield put(value, path, new)
    elif isinstance(old, str) and old:
        for where in {0, len(old) // 3, len(old) // 2, len(old) - 1}:
            yield put(value, path, flip(old, where))
        yield put(value, path, old[:-1])
        yield put(value, path, old + "0")
        yield put(value, path, old.upper() if old.upper() != old else old + " ")
    elif isinstance(old, list) and old:
        yield put(value, path, old[1:])
        yield put(value, path, old[:-1])
        yield put(value, path, [*old, old[-1]])
        yield put(value, path, [old[0], *old])
        if len(old) > 1 and old[0] != old[-1]:
            yield put(value, path, [old[-1], *old[1:-1], old[0]])
    elif isinstance(old, dict):
        yield put(value, path, old | {"more": 1})


def allowed(path: Path, original: Any, changed: Any) -> bool:
    """Say whether a change only makes the bundle say less, or something no file can prove."""
    if path and path[-1] == "chain_id":
        return True
    if path in WEAKER or (path and path[-1] == "anchor"):
        return bool(path) and path[-1] in at(changed, path[:-1]) and at(changed, path) is None
    return False


@pytest.fixture(scope="module")
def bundles(anchored: tuple[Story, FakeLedger]) -> dict[str, bytes]:
    return {kind: anchored[0].bundle(kind, manifest=True).to_bytes() for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_the_bundles_are_good(bundles: dict[str, bytes], kind: str) -> None:
    assert verify_bundle(bundles[kind]).ok
    assert reseal(canonical.loads(bundles[kind])) == bundles[kind]


@pytest.mark.parametrize(
    # a model's bundle has the same parts as a prediction's and a dataset's
    "kind",
    ["dataset", "file", "row", "prediction", pytest.param("version", marks=pytest.mark.long)],
)
def test_no_change_at_any_place_verifies(bundles: dict[str, bytes], kind: str) -> None:
    original = canonical.loads(bundles[kind])
    report = verify_bundle(bundles[kind]).as_dict()
    tried = 0
    for number, path in enumerate(places(original)):
        # of a large bundle's statements, which are all alike, every third place
        alike = kind == "prediction" and path[:1] == ("statements",) and len(path) > 2
        if path == ("checksum",) or (alike and number % 3):
            continue
        for changed in changes(original, path):
            tried += 1
            data = reseal(changed)
            if data == bundles[kind]:
                continue
            if allowed(path, original, changed):
                try:
                    assert verify_bundle(data).as_dict() != report, path
                except VerificationError:
                    pass
                continue
            with pytest.raises(VerificationError):
                verify_bundle(data)
                pytest.fail(f"verified with a change at {path}")
    assert tried > 300


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_flipped_byte_verifies(bundles: dict[str, bytes], data: st.DataObject) -> None:
    raw = bytearray(bundles[data.draw(st.sampled_from(KINDS))])
    where = data.draw(st.integers(0, len(raw) - 1))
    raw[where] ^= data.draw(st.integers(1, 255))
    with pytest.raises(VerificationError):
        verify_bundle(bytes(raw))


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_no_transplant_verifies(bundles: dict[str, bytes], data: st.DataObject) -> None:
    """Put a part of one bundle at some place of another."""
    kind = data.draw(st.sampled_from(KINDS))
    original = canonical.loads(bundles[kind])
    donor = canonical.loads(bundles[data.draw(st.sampled_from(KINDS))])
    to = data.draw(st.sampled_from([p for p in places(original) if p and p != ("checksum",)]))
    source = data.draw(st.sampled_from([p for p in places(donor) if p and p[-1] == to[-1]] or [to]))
    try:
        new = at(donor, source)
    except (KeyError, IndexError, TypeError):
        return
    changed = put(original, to, new)
    blob = reseal(changed)
    if blob == bundles[kind] or allowed(to, original, changed):
        return
    try:
        report = verify_bundle(blob)
    except VerificationError:
        return
    # a whole good claim about another statement, made of the same evidence, is another claim
    assert report.as_dict() != verify_bundle(bundles[kind]).as_dict()


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=200))
def test_noise_is_refused(noise: bytes) -> None:
    with pytest.raises(VerificationError):
        verify_bundle(noise)


@settings(max_examples=200, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=10,
    )
)
def test_any_json_is_refused(value: Any) -> None:
    document = {
        "format": "usufruct/bundle/v1", "claim": value, "statements": value, "logs": value,
        "manifest": value,
    }  # fmt: skip
    try:
        data = reseal(document)
    except Exception:
        return
    with pytest.raises(VerificationError):
        verify_bundle(data)


def test_depth_and_size_are_guarded(bundles: dict[str, bytes]) -> None:
    for data in (b"[" * 100_000, b'{"a":' * 100_000, b"1" * 10_000):
        with pytest.raises(VerificationError):
            verify_bundle(data)
