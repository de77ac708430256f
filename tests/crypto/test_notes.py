import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.crypto import canonical, notes
from usufruct.crypto.ed25519 import SecretKey
from usufruct.errors import BadInput, UsufructError, VerificationError

# the example key and note of Go's golang.org/x/mod/sumdb/note, to which the C2SP text refers
VKEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
KEY = VKEY.rpartition("+")[2]
SEED = canonical.unb64("AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz")[1:]
TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
LINE = (
    "— PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
NOTE = (TEXT + "\n" + LINE).encode()
PETER = SecretKey(SEED)

# checkpoints that the Go checksum database signed, at three sizes
SUMDB_VKEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB = [
    (
        6476701,
        "mb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=",
        "Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=",
    ),
    (
        28891140,
        "++pUIeKTwGvykMUkmM3AT97PwQipMT6H/p7t86E0Sp0=",
        "Az3grqNvOILDz7xwAKugtVFZwd+I9IyB/mHrUYzcVaS9zKsRVdRLNGLFpnAcLhyoBBkdIYEzK/+7Eu4wanYttLrPsQo=",
    ),
    (
        59045944,
        "LE6Lx+GNVyuFBv/jKcFIiPkG1WC7DHwG0clpfN/TBlA=",
        "Az3grk9ctaTv+CITXOwxCEHU3APAw5X7Ck14+fvFlh0GCktwX15+XPzy//GgL2G50ZgY05e8eXFTWcvW6pN5tozsLQQ=",
    ),
]
ORIGIN = "go.sum database tree"


def test_the_reference_note_byte_for_byte():
    name, public = notes.decode_vkey(VKEY)
    assert (name, public) == ("PeterNeumann", PETER.public_key)
    assert notes.encode_vkey(name, public) == VKEY
    assert notes.key_hash(name, public).hex() == "c74f20a3"
    assert notes.sign_note(TEXT, PETER, name) == NOTE
    assert notes.open_note(NOTE, name, public) == TEXT


@pytest.mark.parametrize(("size", "root", "signature"), SUMDB)
def test_checkpoints_of_the_go_checksum_database(size, root, signature):
    note = f"{ORIGIN}\n{size}\n{root}\n\n— sum.golang.org {signature}\n".encode()
    name, public = notes.decode_vkey(SUMDB_VKEY)
    checkpoint = notes.open_checkpoint(note, name, public, origin=ORIGIN)
    assert checkpoint == notes.Checkpoint(ORIGIN, size, canonical.unb64(root))
    assert notes.parse_note(note).to_bytes() == note
    with pytest.raises(VerificationError):
        notes.open_checkpoint(note.replace(b"\n6", b"\n7"), name, PETER.public_key)
    with pytest.raises(VerificationError):
        notes.open_checkpoint(note, name, public, origin="other")


def test_a_cosigned_checkpoint_seen_in_public():
    # from a witness's documentation: the log's line, then a plain Ed25519 line of the witness
    note = (
        f"{ORIGIN}\n15067302\ngJyioq6dwR9n+NjEWORfYmH+ubeYm3kH42BBQ0bTpYI=\n\n"
        "— sum.golang.org Az3grp1rvWOs5NKlr/xR4GLN/CDyzzakmt1o61uSxYKpK1SerqOP2ClbX/peKUZjYnyo"
        "mH5Xz7GZG3TpB7OeKn4E2ww=\n"
        "— test.example.com qTGhC/xIPQ0AXKHK6Y+9ypRfuvMZWPjRXM8NiOg5M1WREn07VQXyuIXM3NRNav3ieV"
        "FLUqDRK77PWDmL6w8w84UqeAw=\n"
    ).encode()
    name, public = notes.decode_vkey(SUMDB_VKEY)
    assert notes.open_checkpoint(note, name, public).size == 15067302
    assert [line.name for line in notes.parse_note(note).signatures] == [name, "test.example.com"]


def test_the_example_with_a_further_line():
    # c2sp.org/tlog-checkpoint: lines after the root are kept
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    checkpoint = notes.Checkpoint.from_text(text + "further\n")
    assert checkpoint.extensions == ("further",)
    assert checkpoint.to_text() == text + "further\n"
    assert notes.Checkpoint.from_text(text).to_text() == text


ROOT = bytes(range(32))
HEAD = notes.Checkpoint("example.org/log", 17, ROOT)
ME, OTHER = SecretKey(bytes([7] * 32)), SecretKey(bytes([8] * 32))
SIGNED = notes.sign_checkpoint(HEAD, ME, "example.org/log")


def test_sign_cosign_and_open():
    both = notes.cosign(SIGNED, OTHER, "hospital-b.example")
    assert both.startswith(SIGNED)
    for name, key in (("example.org/log", ME), ("hospital-b.example", OTHER)):
        assert notes.open_checkpoint(both, name, key.public_key) == HEAD
    for name, key in (
        ("hospital-b.example", ME),
        ("example.org/log", OTHER),
        ("someone", OTHER),
        ("bad name", ME),
    ):
        with pytest.raises(VerificationError):
            notes.open_checkpoint(both, name, key.public_key)
    with pytest.raises(BadInput):
        notes.cosign(both, OTHER, "hospital-b.example")


def test_a_bad_line_beside_a_good_one_is_refused():
    line = notes.parse_note(SIGNED).signatures[0]
    bad = notes.NoteSignature(line.name, line.key_hash, bytes(64))
    note = notes.Note(HEAD.to_text(), (line, bad)).to_bytes()
    with pytest.raises(VerificationError):
        notes.open_checkpoint(note, line.name, ME.public_key)


@settings(max_examples=300)
@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_any_changed_byte_is_a_verification_error(place, change):
    data = bytearray(SIGNED)
    data[place] ^= change
    with pytest.raises(VerificationError):
        notes.open_checkpoint(bytes(data), "example.org/log", ME.public_key)


@given(st.binary(max_size=200) | st.text(max_size=200).map(lambda t: t.encode("utf-8", "replace")))
def test_any_bytes_are_a_note_or_bad_input(data):
    try:
        note = notes.parse_note(data)
    except BadInput:
        return
    assert notes.parse_note(note.to_bytes()) == note


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\n\n",
        b"\n\n" + LINE.encode(),
        TEXT.encode(),
        (TEXT + "\n").encode(),
        (TEXT + LINE).encode(),
        (TEXT + "\n" + LINE.rstrip("\n")).encode(),
        (TEXT + "\n" + LINE + "\n").encode(),
        (TEXT + "\n" + LINE + "junk\n").encode(),
        (TEXT + "\n" + LINE.replace("—", "-")).encode(),
        (TEXT + "\n" + LINE.replace("=", "")).encode(),
        (TEXT + "\n" + LINE.replace("Neumann", "+Neumann")).encode(),
        (TEXT + "\n" + LINE.replace("Neumann ", "Neumann  ")).encode(),
        (TEXT + "\n" + "— PeterNeumann AAAA\n").encode(),
        (TEXT + "\r\n\n" + LINE).encode(),
        (TEXT + "\n" + LINE).encode().replace(b"If", b"I\xff"),
        (TEXT + "\n" + LINE * 101).encode(),
        ("x" * 1_000_000 + "\n\n" + LINE).encode(),
        NOTE.decode(),
        None,
    ],
)
def test_malformed_notes(data):
    with pytest.raises(BadInput):
        notes.parse_note(data)
    with pytest.raises(VerificationError):
        notes.open_note(data, "PeterNeumann", PETER.public_key)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "o\n1\n",
        "o\n1\n" + canonical.b64(ROOT),
        "o\n01\n" + canonical.b64(ROOT) + "\n",
        "o\n-1\n" + canonical.b64(ROOT) + "\n",
        "o\n+1\n" + canonical.b64(ROOT) + "\n",
        "o\n1.0\n" + canonical.b64(ROOT) + "\n",
        "o\n٣\n" + canonical.b64(ROOT) + "\n",
        "o\n" + "9" * 5000 + "\n" + canonical.b64(ROOT) + "\n",
        "o\n9223372036854775808\n" + canonical.b64(ROOT) + "\n",
        "o\n1\n" + canonical.b64(ROOT[1:]) + "\n",
        "o\n1\n" + canonical.b64(ROOT)[:-1] + "\n",
        "\n1\n" + canonical.b64(ROOT) + "\n",
        "o\n1\n" + canonical.b64(ROOT) + "\n\nx\n",
        "o\n1\n" + canonical.b64(ROOT) + "\n\n",
        TEXT,
    ],
)
def test_malformed_checkpoints(text):
    with pytest.raises(BadInput):
        notes.Checkpoint.from_text(text)
    if text.endswith("\n") and text.strip():
        note = notes.sign_note(text, ME, "name")
        with pytest.raises(VerificationError):
            notes.open_checkpoint(note, "name", ME.public_key)


@pytest.mark.parametrize(
    "call",
    [
        lambda: notes.Checkpoint("o", True, ROOT),
        lambda: notes.Checkpoint("o", -1, ROOT),
        lambda: notes.Checkpoint("o", 2**63, ROOT),
        lambda: notes.Checkpoint("o\n", 1, ROOT),
        lambda: notes.Checkpoint("o\0", 1, ROOT),
        lambda: notes.Checkpoint("o\ud800", 1, ROOT),
        lambda: notes.Checkpoint("", 1, ROOT),
        lambda: notes.Checkpoint("o", 1, ROOT, ("",)),
        lambda: notes.Checkpoint("o", 1, ROOT, (3,)),
        lambda: notes.sign_note("no newline", ME, "name"),
        lambda: notes.sign_note("tab\t\n", ME, "name"),
        lambda: notes.sign_checkpoint(HEAD, ME, ""),
        lambda: notes.sign_checkpoint(HEAD, ME, "a b"),
        lambda: notes.sign_checkpoint(HEAD, ME, "a\u2003b"),
        lambda: notes.sign_checkpoint(HEAD, ME, "a+b"),
        lambda: notes.cosign(b"junk", ME, "a"),
        lambda: notes.key_hash("a", b"short"),
        lambda: notes.decode_vkey(VKEY.replace("c74f20a3", "c74f20a4")),
        lambda: notes.decode_vkey(f"PeterNeumann+cc469956+{KEY}BADKEY=="),
        lambda: notes.decode_vkey(f"PeterNeumann+173116ae+Z{KEY[1:]}"),
        lambda: notes.decode_vkey("a+b"),
        lambda: notes.decode_vkey(None),
        lambda: notes.decode_vkey("x" * 2000),
    ],
)
def test_what_makes_no_sense_is_bad_input(call):
    with pytest.raises(BadInput):
        call()


def test_every_mangling_of_a_vkey_is_refused():
    for start in range(len(VKEY)):
        for stop in range(start + 1, len(VKEY) + 1):
            if (start, stop) != (0, len(VKEY)):
                with pytest.raises(BadInput):
                    notes.decode_vkey(VKEY[start:stop])
    for place in range(len(VKEY)):
        with pytest.raises(UsufructError):
            notes.decode_vkey(VKEY[:place] + chr(ord(VKEY[place]) + 1) + VKEY[place + 1 :])


def test_a_note_holds_at_most_a_hundred_signatures():
    note = SIGNED
    for number in range(99):
        note = notes.cosign(note, OTHER, f"n{number}")
    with pytest.raises(BadInput):
        notes.cosign(note, OTHER, "one-more")
