"""Downloads from nodes that lie, stop and die; and from this end being killed."""

from __future__ import annotations

import errno
import os
import random
import shutil
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.peer.shelf import ASSET, LICENCE, Handler, Node, Shelf, make_shelf, serving

from usufruct.crypto import aead
from usufruct.errors import (
    AlreadyExists,
    BadInput,
    HomeBusy,
    Unavailable,
    UsufructError,
    VerificationError,
)
from usufruct.peer import downloads, partial
from usufruct.peer.downloads import Source, load_files, load_manifest, load_sealed
from usufruct.peer.partial import Partial
from usufruct.types import Digest
from usufruct.units import MIB

BIG = random.Random(1).randbytes(3 * MIB + 5000)
FILES = {
    "a/deep/table.csv": b"name,age\n" + b"ann,3\n" * 50,
    "big.bin": BIG,
    "empty": b"",
    "exact": BIG[:MIB],
    "zz/last": b"last",
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloads, "PAUSE", 0.001)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return make_shelf(tmp_path_factory.mktemp("shelf"), FILES)


@pytest.fixture
def node(template: Shelf) -> Iterator[Node]:
    with serving(template) as node:
        yield node


@pytest.fixture
def source(node: Node) -> Source:
    return node.source()


def fetch(source: Source, shelf: Shelf, target: Path) -> Path:
    keys = shelf.granted()
    manifest = load_manifest(source, keys, shelf.root)
    with shelf.part(target) as part:
        load_files(source, keys, manifest, part)
        return part.finish(len(manifest.files))


def content(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def object_id(shelf: Shelf, name: str) -> str:
    return shelf.sealed.files[sorted(FILES).index(name)].object_id


def spoiling(node: Node, spoil: Callable[[int, bytes], bytes]) -> Callable[[Handler], bool]:
    def answer(handler: Handler) -> bool:
        node.part(handler, handler.path.rpartition("/")[2].split("?")[0], spoil)
        return True

    return answer


def test_all_of_it_and_nothing_else(source: Source, template: Shelf, tmp_path: Path):
    target = fetch(source, template, tmp_path / "out")
    assert content(target) == FILES
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    with pytest.raises(AlreadyExists):
        template.part(target)
    assert content(target) == FILES


def test_few_requests_and_none_for_what_is_there(
    source: Source, node: Node, template: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(downloads, "WINDOW", 2)
    fetch(source, template, tmp_path / "out")
    step = aead.SEALED_CHUNK_SIZE
    ranges = [span for _, path, span in node.seen if object_id(template, "big.bin") in path]
    last = aead.sealed_size(len(BIG)) - 1
    assert ranges == [f"bytes=0-{2 * step - 1}", f"bytes={2 * step}-{last}"]
    assert not any(object_id(template, "empty") in path for _, path, _ in node.seen)


@pytest.mark.parametrize("chunk", [0, 1, 3])
def test_a_wrong_byte_is_named_and_what_was_good_stays(
    source: Source, node: Node, template: Shelf, tmp_path: Path, chunk: int
):
    at = chunk * aead.SEALED_CHUNK_SIZE + 40

    def spoil(start: int, data: bytes) -> bytes:
        changed = bytearray(data)
        changed[at - start] ^= 1
        return bytes(changed)

    node.lie(object_id(template, "big.bin"), spoiling(node, spoil))
    with pytest.raises(VerificationError, match=f"'big.bin', chunk {chunk}") as caught:
        fetch(source, template, tmp_path / "out")
    (found,) = caught.value.mismatches
    assert (found.what, found.file, found.chunk) == ("changed", "big.bin", chunk)
    kept = tmp_path / ".out.part" / "data"
    assert (kept / "big.bin").read_bytes() == BIG[: chunk * MIB]
    assert not (tmp_path / "out").exists()
    node.lies.clear()
    node.seen.clear()
    fetch(source, template, tmp_path / "out")
    assert content(tmp_path / "out") == FILES
    paths = [path for _, path, _ in node.seen]
    assert not any(object_id(template, "a/deep/table.csv") in path for path in paths)
    (span,) = [span for _, path, span in node.seen if object_id(template, "big.bin") in path]
    assert span is not None and span.startswith(f"bytes={chunk * aead.SEALED_CHUNK_SIZE}-")


def swap(start: int, data: bytes) -> bytes:
    step = aead.SEALED_CHUNK_SIZE
    return data[step : 2 * step] + data[:step] + data[2 * step :]


LIES: dict[str, Callable[[int, bytes], bytes]] = {
    "zeros": lambda start, data: bytes(len(data)),
    "swapped chunks": swap,
    "one byte less": lambda start, data: data[:-1],
    "one byte more": lambda start, data: data + b"x",
    "nothing": lambda start, data: b"",
    "twice": lambda start, data: data * 2,
}


@pytest.mark.parametrize("name", ["big.bin", "zz/last"])
@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_lies_about_bytes(
    source: Source, node: Node, template: Shelf, tmp_path: Path, name: str, lie: Any
):
    if lie is swap and name != "big.bin":
        return
    node.lie(object_id(template, name), spoiling(node, lie))
    with pytest.raises(VerificationError, match=f"'{name}', chunk 0") as caught:
        fetch(source, template, tmp_path / "out")
    assert caught.value.mismatches[0].file == name
    assert not (tmp_path / "out").exists()
    # whatever is kept is the beginning of what was published
    for path, data in content(tmp_path / ".out.part" / "data").items():
        assert FILES[path].startswith(data)


PART = "HTTP/1.1 206 P\r\n"
HEADS = {
    "another range": PART + "Content-Range: bytes 1-{n}/{n}\r\nContent-Length: {n}\r\n\r\n",
    "another size": PART + "Content-Range: bytes 0-{l}/9{n}\r\nContent-Length: {n}\r\n\r\n",
    "no range": "HTTP/1.1 206 P\r\nContent-Length: {n}\r\n\r\n",
    "odd range": "HTTP/1.1 206 P\r\nContent-Range: bytes */*\r\nContent-Length: {n}\r\n\r\n",
    "no length": "HTTP/1.1 206 P\r\nContent-Range: bytes 0-{l}/{n}\r\n\r\n",
    "endless": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
    "packed": "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {n}\r\n\r\n",
    "too short": "HTTP/1.1 416 Range Not Satisfiable\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS)
def test_lies_about_ranges(source: Source, node: Node, template: Shelf, tmp_path: Path, head: str):
    size = aead.sealed_size(len(BIG))
    said = head.format(n=size, l=size - 1).encode()
    node.lie(object_id(template, "big.bin"), lambda handler: handler.raw(said, bytes(1000)))
    with pytest.raises(VerificationError, match=r"'big.bin', chunk 0"):
        fetch(source, template, tmp_path / "out")


@pytest.mark.parametrize("status", [301, 404, 403, 500, 503])
def test_refusals_in_the_middle(
    source: Source, node: Node, template: Shelf, tmp_path: Path, status: int
):
    node.json(object_id(template, "big.bin"), {"message": "no more"}, status)
    with pytest.raises(UsufructError) as caught:
        fetch(source, template, tmp_path / "out")
    assert not isinstance(caught.value, VerificationError)
    node.lies.clear()
    assert content(fetch(source, template, tmp_path / "out")) == FILES


def test_a_node_that_hangs_up_now_and_then(
    source: Source, node: Node, template: Shelf, tmp_path: Path
):
    hung: list[int] = []

    def hang_up(handler: Handler) -> bool:
        if len(hung) >= 3:
            return False
        hung.append(1)
        first, last = map(int, handler.headers["Range"].removeprefix("bytes=").split("-"))
        path = template.path(object_id(template, "big.bin"))
        head = f"HTTP/1.1 206 P\r\nContent-Range: bytes {first}-{last}/{path.stat().st_size}\r\n"
        some = path.read_bytes()[first : first + aead.SEALED_CHUNK_SIZE + 7]
        return handler.raw(f"{head}Content-Length: {last + 1 - first}\r\n\r\n".encode(), some)

    node.lie(object_id(template, "big.bin"), hang_up)
    assert content(fetch(source, template, tmp_path / "out")) == FILES
    starts = [span for _, path, span in node.seen if object_id(template, "big.bin") in path]
    step = aead.SEALED_CHUNK_SIZE
    assert [str(span).split("-")[0] for span in starts] == [f"bytes={n * step}" for n in range(4)]


def test_a_node_that_always_hangs_up(source: Source, node: Node, template: Shelf, tmp_path: Path):
    node.lie(object_id(template, "big.bin"), lambda handler: handler.raw())
    with pytest.raises(Unavailable, match=r"'big.bin', after chunk -?\d"):
        fetch(source, template, tmp_path / "out")
    assert len([1 for _, path, _ in node.seen if object_id(template, "big.bin") in path]) < 10


def test_a_node_that_is_too_slow(node: Node, template: Shelf, tmp_path: Path):
    import threading

    over = threading.Event()

    def drip(handler: Handler) -> bool:
        size = aead.sealed_size(len(BIG))
        handler.wfile.write(
            HEADS["no length"].split("\r\n\r\n")[0].format(n=size, l=size - 1).encode()
        )
        handler.wfile.write(f"\r\nContent-Length: {size}\r\n\r\n".encode())
        while not over.wait(0.05):
            handler.wfile.write(b"x")
        return handler.raw()

    node.lie(object_id(template, "big.bin"), drip)
    try:
        with pytest.raises(Unavailable, match="in time"):
            fetch(node.source(timeout=0.3), template, tmp_path / "out")
    finally:
        over.set()


def test_manifests_that_are_not_the_ledgers(
    source: Source, node: Node, template: Shelf, tmp_path: Path
):
    keys = template.granted()
    with pytest.raises(VerificationError, match="content root"):
        load_manifest(source, keys, Digest("00" * 32))
    other = make_shelf(tmp_path, FILES | {"big.bin": BIG[::-1]})

    def theirs(handler: Handler) -> bool:
        data = other.path(other.sealed.manifest.object_id).read_bytes()
        return handler.say(200, data) or True

    node.lie(template.sealed.manifest.object_id, theirs)
    with pytest.raises(VerificationError, match="content root"):
        load_manifest(source, keys, template.root)


def test_a_list_of_other_files(source: Source, template: Shelf):
    sealed = template.sealed
    turned = type(sealed)(sealed.manifest, sealed.files[::-1])
    lying = Source(source.client, ASSET, 1, LICENCE, turned)
    with pytest.raises(VerificationError, match="not those of the manifest"):
        load_manifest(lying, template.granted(), template.root)


def test_a_file_in_the_place_of_evidence(tmp_path: Path):
    from dataclasses import replace

    shelf = make_shelf(tmp_path, {"x": b"x"})
    (tmp_path / "evil" / ".usufruct").mkdir(parents=True)
    (tmp_path / "evil" / ".usufruct" / "evidence.json").write_bytes(b"x")
    files = (replace(shelf.manifest.files[0], path=".usufruct/evidence.json"),)
    manifest = replace(shelf.manifest, files=files)
    from usufruct.assets.sealing import SealKeys, seal_asset
    from usufruct.vault import Vault

    keys = SealKeys(bytes([5]) * 32)
    vault = tmp_path / "vault2"
    sealed = seal_asset(tmp_path / "evil", manifest, Vault(vault), keys)
    evil = Shelf(vault, tmp_path, manifest, keys, sealed)
    with serving(evil) as node, pytest.raises(VerificationError, match=r"\.usufruct"):
        load_manifest(node.source(), evil.granted(), evil.root)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//x", "./x", "", "a/", "a\0b"])
def test_names_that_lead_out_are_refused_again_at_the_join(
    template: Shelf, tmp_path: Path, name: str
):
    with template.part(tmp_path / "out") as part, pytest.raises(BadInput), part.file(name):
        pass
    assert not (tmp_path / "x").exists()


def test_links_in_the_way(source: Source, template: Shelf, tmp_path: Path):
    away = tmp_path / "away"
    away.mkdir()
    (away / "big.bin").write_bytes(b"mine")
    data = tmp_path / ".out.part" / "data"

    def blocked(place: Path) -> None:
        with pytest.raises(BadInput):
            fetch(source, template, tmp_path / "out")
        place.unlink()
        assert content(away) == {"big.bin": b"mine"}

    with template.part(tmp_path / "out"):
        pass
    (data / "a").symlink_to(away)
    blocked(data / "a")
    (data / "big.bin").symlink_to(away / "big.bin")
    blocked(data / "big.bin")
    (data / "big.bin").hardlink_to(away / "big.bin")
    blocked(data / "big.bin")
    os.mkfifo(data / "big.bin")
    blocked(data / "big.bin")
    data.rename(tmp_path / "real")
    data.symlink_to(away)
    blocked(data)
    shutil.rmtree(tmp_path / ".out.part")
    (tmp_path / ".out.part").symlink_to(away)
    blocked(tmp_path / ".out.part")
    (tmp_path / "out").symlink_to(tmp_path / "nowhere")
    with pytest.raises(AlreadyExists):
        fetch(source, template, tmp_path / "out")
    (tmp_path / "out").unlink()
    assert content(fetch(source, template, tmp_path / "out")) == FILES


def test_one_at_a_time(template: Shelf, tmp_path: Path):
    with template.part(tmp_path / "out"), pytest.raises(HomeBusy):
        template.part(tmp_path / "out")


def test_what_was_begun_for_something_else_is_thrown_away(template: Shelf, tmp_path: Path):
    with template.part(tmp_path / "out") as part:
        (part.data / "stray").write_bytes(b"x")
        part.message = b"grant"
    with template.part(tmp_path / "out") as part:
        assert (part.data / "stray").exists() and part.message == b"grant"
    root = Digest("11" * 32)
    with Partial(tmp_path / "out", asset=ASSET, number=1, licence=LICENCE, root=root) as part:
        assert list(part.data.iterdir()) == [] and part.message is None


def test_something_appears_at_the_target_meanwhile(source: Source, template: Shelf, tmp_path: Path):
    keys = template.granted()
    manifest = load_manifest(source, keys, template.root)
    with template.part(tmp_path / "out") as part:
        load_files(source, keys, manifest, part)
        (tmp_path / "out").mkdir()
        with pytest.raises(AlreadyExists):
            part.finish(len(manifest.files))
    assert list((tmp_path / "out").iterdir()) == []


def test_a_full_disk(
    source: Source, template: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    real, calls = os.write, []

    def full(descriptor: int, data: Any) -> int:
        calls.append(1)
        if len(calls) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data)

    with monkeypatch.context() as patch:
        patch.setattr(partial.os, "write", full)
        with pytest.raises(Unavailable, match="No space left") as caught:
            fetch(source, template, tmp_path / "out")
        assert caught.value.hint and "kept" in caught.value.hint
    assert content(fetch(source, template, tmp_path / "out")) == FILES
    with template.part(tmp_path / "more") as part, pytest.raises(Unavailable, match="needs"):
        part.check_space(1 << 62)


def test_ciphertext_first(source: Source, node: Node, template: Shelf, tmp_path: Path):
    with template.part(tmp_path / "out") as part:
        load_sealed(source, part)
        place = part.stash / object_id(template, "big.bin")
        spoilt = bytearray(place.read_bytes())
        spoilt[aead.SEALED_CHUNK_SIZE + 9] ^= 1
        place.write_bytes(spoilt)
        node.seen.clear()
        load_sealed(source, part)  # reads all again, fetches what is spoilt
        assert len(node.seen) == 1
        keys = template.granted()
        manifest = load_manifest(source, keys, template.root)
        node.seen.clear()
        load_files(source, keys, manifest, part)
        assert node.seen == []
        part.finish(len(manifest.files))
    assert content(tmp_path / "out") == FILES


def test_ciphertext_that_is_not_on_the_list(
    source: Source, node: Node, template: Shelf, tmp_path: Path
):
    name = object_id(template, "big.bin")
    node.lie(name, spoiling(node, lambda start, data: data[:-1] + bytes([data[-1] ^ 1])))
    with (
        template.part(tmp_path / "out") as part,
        pytest.raises(VerificationError, match=f"'{name}', chunk 3"),
    ):
        load_sealed(source, part)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    st.sampled_from(sorted(FILES)),
    st.integers(0, len(BIG) + 10),
    st.integers(0, len(BIG) + 10),
    st.booleans(),
)
def test_whatever_lies_in_the_part_folder_the_result_is_the_same(
    source: Source, template: Shelf, tmp_path: Path, name: str, cut: int, flip: int, more: bool
):
    target = tmp_path / "out"
    shutil.rmtree(target, ignore_errors=True)
    with template.part(target) as part:
        begun = bytearray(FILES[name][:cut])
        if flip < len(begun):
            begun[flip] ^= 1
        if more:
            begun += b"more" * 1000
        place = part.data / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(begun)
    assert content(fetch(source, template, target)) == FILES


CHILD = """
    import sys
    from pathlib import Path
    sys.path.insert(0, sys.argv[1])
    import tests.peer.shelf as shelf
    from tests.peer.test_downloads import FILES, fetch
    from usufruct.assets.manifest import build_manifest
    from usufruct.assets.sealing import SealedAsset
    from usufruct.evidence.content import Manifest
    import usufruct.peer.downloads as downloads

    folder, url, target, at = Path(sys.argv[2]), sys.argv[3], Path(sys.argv[4]), int(sys.argv[5])
    manifest = Manifest.from_bytes((folder / "manifest").read_bytes())
    sealed = SealedAsset.from_bytes((folder / "sealed").read_bytes())
    mine = shelf.Shelf(folder / "vault", folder, manifest, shelf.SealKeys(bytes(32)), sealed)
    real, calls = downloads.write_all, []

    def dying(descriptor, data):
        calls.append(1)
        if len(calls) == at:
            real(descriptor, data[: len(data) // 2])
            import os, signal
            os.kill(os.getpid(), signal.SIGKILL)
        real(descriptor, data)

    downloads.write_all = dying
    node = shelf.Node(mine)
    node.server_close()
    client = shelf.NodeClient(url, account=shelf.Account(shelf.BUYER.account_secret),
        chain_id=shelf.CHAIN, node=shelf.SELLER.address, clock=lambda: shelf.NOW)
    source = shelf.Source(client, shelf.ASSET, 1, shelf.LICENCE, sealed)
    fetch(source, mine, target)
"""


def test_killed_in_the_middle_it_goes_on_where_it_was(node: Node, template: Shelf, tmp_path: Path):
    folder = template.folder.parent
    (folder / "manifest").write_bytes(template.manifest.to_bytes())
    (folder / "sealed").write_bytes(template.sealed.to_bytes())
    root = str(Path(__file__).parents[2])
    target = tmp_path / "out"

    def run(at: int) -> int:
        command = [sys.executable, "-c", textwrap.dedent(CHILD), root, str(folder)]
        command += [node.url, str(target), str(at)]
        return subprocess.run(command, timeout=60, check=False).returncode

    fetched = []
    for at in (3, 2, 1):  # in the middle of the big file, again, and in its last chunk
        assert run(at) == -signal.SIGKILL
        assert not target.exists()
        kept = (tmp_path / ".out.part" / "data" / "big.bin").read_bytes()
        fetched.append(len(kept))
        assert BIG.startswith(kept)
    assert fetched == sorted(fetched) and fetched[-1] > 2 * MIB
    node.seen.clear()
    assert run(0) == 0
    assert content(target) == FILES
    (span,) = [span for _, path, span in node.seen if object_id(template, "big.bin") in path]
    assert span is not None and not span.startswith("bytes=0-")
