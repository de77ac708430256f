"""Terms: what shows as it is, and nothing else."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from usufruct.errors import BadInput, VerificationError
from usufruct.market.terms import MAX_TERMS, NO_TERMS, TermsText, check_terms

TEXT = TermsText("Use it well.\n\tPay on time.\n")


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b" \n\t\n", "empty"),
        (b"one\r\ntwo\r\n", "line 1 .* U\\+000D"),
        (b"one\ntwo\x1b[2Jpaid\n", "line 2 .* U\\+001B"),
        (b"one\0", "U\\+0000"),
        ("free\u202e for nothing".encode(), "reordering character U\\+202E"),
        ("a\u2028b".encode(), "U\\+2028"),
        (b"one\ntwo\nthree \xff\n", "line 3 .* not UTF-8"),
        (b"a \xed\xa0\x80 b", "not UTF-8"),
        (b"x" * (MAX_TERMS + 1), "more than"),
        ("\u00e9".encode() * (MAX_TERMS // 2 + 1), "more than"),
    ],
)
def test_hostile_texts(data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        TermsText.from_bytes(data)


def test_half_characters_and_long_texts_made_here() -> None:
    with pytest.raises(BadInput, match="half a character"):
        TermsText("a\ud800")
    with pytest.raises(BadInput, match="more than"):
        TermsText("\u20ac" * (MAX_TERMS // 3 + 1))
    assert len(TermsText("x" * MAX_TERMS).to_bytes()) == MAX_TERMS


@settings(deadline=None)
@given(st.text(max_size=200))
def test_what_is_taken_comes_back_byte_for_byte(text: str) -> None:
    data = text.encode("utf-8", "surrogatepass")
    try:
        terms = TermsText.from_bytes(data)
    except BadInput:
        return
    assert terms.to_bytes() == data
    assert terms.digest == hashlib.sha256(data).digest()
    assert all(c.isprintable() or c in "\n\t" or ord(c) > 0x9F for c in terms.text)


def test_terms_are_the_offers() -> None:
    assert check_terms(TEXT, TEXT.digest) is TEXT
    assert check_terms(TEXT.to_bytes(), TEXT.digest) == TEXT
    assert check_terms(None, NO_TERMS) is None


@pytest.mark.parametrize(
    ("text", "digest"),
    [
        (TEXT, bytes(31) + b"\1"),
        (TEXT.to_bytes() + b" ", TEXT.digest),
        (TEXT, NO_TERMS),
        (b"", NO_TERMS),
        (None, TEXT.digest),
    ],
)
def test_other_terms_are_refused(text: TermsText | bytes | None, digest: bytes) -> None:
    with pytest.raises(VerificationError):
        check_terms(text, digest)


def test_a_seller_who_hides_escapes_in_his_terms() -> None:
    data = b"pay 5\x1b[1A\rpay 1"
    with pytest.raises(BadInput):
        check_terms(data, hashlib.sha256(data).digest())
