"""Errors, units, types: the floor everything stands on."""

import inspect
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from usufruct import errors
from usufruct.errors import BadInput
from usufruct.types import AssetKind, AssetState, parse_address, parse_digest
from usufruct.units import format_amount, format_bytes, parse_amount


@given(st.integers(0, 10**40), st.integers(0, 18))
def test_amounts_survive_the_round_trip_exactly(amount: int, decimals: int) -> None:
    text = format_amount(amount, decimals)
    assert parse_amount(text, decimals) == amount
    assert Fraction(text) * 10**decimals == amount


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "nan", "inf", "1e99", "0.0000000000000000001", "1,5"]
)
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_amount(text)


def test_amounts_people_write() -> None:
    assert parse_amount("1.50", 6) == 1_500_000
    assert parse_amount("1e-6", 6) == 1
    assert format_amount(-5, 1) == "-0.5"
    assert format_bytes(3 << 20) == "3.0 MiB"


@given(st.text())
def test_addresses_and_digests_are_strict(text: str) -> None:
    for parse in (parse_address, parse_digest):
        try:
            value = parse(text)
        except BadInput:
            continue
        assert value == text.lower() or value == text.lower().removeprefix("0x")


def test_numbers_on_the_ledger_never_move() -> None:
    assert [k.number for k in AssetKind] == [0, 1, 2, 3, 4]
    assert [s.value for s in AssetState] == ["draft", "active", "retired", "revoked"]
    assert AssetKind.MODEL.number == 2 and AssetState.REVOKED.number == 3


def test_every_error_is_one_tree_with_an_exit_code_and_a_place_in_its_picture() -> None:
    tree = errors.__doc__ or ""
    for name, kind in inspect.getmembers(errors, inspect.isclass):
        if not issubclass(kind, BaseException):
            continue
        assert issubclass(kind, errors.UsufructError)
        assert kind.exit_code in (1, 2, 3)
        assert name in tree


def test_errors_speak_as_data() -> None:
    error = errors.VerificationError(
        "no", mismatches=(errors.Mismatch("changed", file="a", chunk=0, row=2, line=2),)
    )
    assert error.as_dict()["mismatches"][0]["row"] == 2
    assert "usufruct[learn]" in (errors.MissingExtra("learn", "training").hint or "")
