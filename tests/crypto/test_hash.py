import hashlib
import os
import threading

import pytest
from blake3 import blake3

from usufruct.crypto import hash as hashing
from usufruct.errors import BadInput

MIB = 1024 * 1024


def chunks(data, new, size):
    return b"".join(new(data[i : i + size]).digest() for i in range(0, len(data), size))


@pytest.mark.parametrize("algorithm", ["blake3", "sha256"])
@pytest.mark.parametrize(
    "size", [0, 1, 1000, 65535, 65536, 65537, MIB - 1, MIB, MIB + 1, 5 * MIB + 7, 40 * MIB]
)
def test_chunk_digests_are_those_of_each_chunk(tmp_path, algorithm, size):
    data = os.urandom(min(size, 3 * MIB)) * (1 + size // (3 * MIB))
    data = data[:size]
    path = tmp_path / "file"
    path.write_bytes(data)
    new = blake3 if algorithm == "blake3" else hashlib.sha256
    expected = (size, chunks(data, new, MIB))
    seen = []
    assert (
        hashing.digest_file_chunks(path, algorithm=algorithm, progress=seen.append, threads=3)
        == expected
    )
    assert sum(seen) == size
    with path.open("rb") as file:
        file.seek(size // 2)
        assert hashing.digest_file_chunks(file.fileno(), algorithm=algorithm) == expected
        assert file.tell() == size // 2


@pytest.mark.parametrize("chunk_size", [1, 7, 1000, 70_000, 600_000])
def test_other_chunk_sizes(tmp_path, chunk_size):
    data = os.urandom(2000 if chunk_size < 1000 else 1_300_001)
    (tmp_path / "file").write_bytes(data)
    assert hashing.digest_file_chunks(tmp_path / "file", chunk_size=chunk_size) == (
        len(data),
        chunks(data, blake3, chunk_size),
    )


def test_known_digests():
    assert hashing.sha256(b"abc").hex().startswith("ba7816bf8f01cfea414140de5dae2223")
    # Keccak team's vector for the empty message, and Ethereum's empty code hash
    assert hashing.keccak256(b"").hex() == (
        "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"
    )
    # the BLAKE3 repository's test vector for the empty input
    assert hashing.blake3(b"").hex() == (
        "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    )
    assert hashing.digest_chunk(memoryview(b"abc"), "sha256") == hashing.sha256(b"abc")
    assert hashing.digest_chunk(b"abc") == hashing.blake3(b"abc")


def test_keccak_agrees_with_eth_hash():
    from eth_utils import keccak

    for size in (1, 135, 136, 137, 1000):
        data = os.urandom(size)
        assert hashing.keccak256(data) == keccak(data)


def test_what_cannot_be_hashed_is_bad_input(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for call in (
        lambda: hashing.digest_file_chunks(tmp_path / "none"),
        lambda: hashing.digest_file_chunks(tmp_path),
        lambda: hashing.digest_file_chunks(str(tmp_path / "nul\0")),
        lambda: hashing.digest_file_chunks(10**6),
        lambda: hashing.digest_file_chunks(tmp_path / "file", chunk_size=0),
        lambda: hashing.digest_file_chunks(tmp_path / "file", algorithm="md5"),
        lambda: hashing.digest_chunk(b"", "md5"),
    ):
        with pytest.raises(BadInput):
            call()


def test_a_named_pipe_or_a_device_is_bad_input_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        with pytest.raises(BadInput):
            hashing.digest_file_chunks(path)


def test_an_error_in_one_thread_stops_the_others(tmp_path):
    path = tmp_path / "file"
    with path.open("wb") as file:
        file.truncate(400 * MIB)
    seen = []

    def stop(length):
        seen.append(length)
        if len(seen) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        hashing.digest_file_chunks(path, progress=stop, threads=4)
    assert len(seen) < 100


@pytest.mark.parametrize("change", [-(3 * MIB), +1])
def test_a_file_that_changes_its_size_meanwhile_is_refused(tmp_path, change):
    path = tmp_path / "file"
    path.write_bytes(bytes(40 * MIB))
    first = threading.Event()

    def resize(_):
        if not first.is_set():
            first.set()
            os.truncate(path, 40 * MIB + change)

    with pytest.raises(BadInput):
        hashing.digest_file_chunks(path, progress=resize, threads=1)
