"""Amounts, shares and durations as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from market_node.amounts import Money, duration, parse_duration, parse_fraction
from market_node.errors import BadInput
from market_node.records import NOT_SELLING, ONE

EURO = Money("EUR", 2)


@given(st.integers(0, 30), st.integers(0, NOT_SELLING - 1))
def test_an_amount_that_is_written_is_read_as_the_same_amount(decimals: int, units: int) -> None:
    money = Money("X", decimals)
    assert money.units(money.text(units).removesuffix(" X"), "it") == units


@pytest.mark.parametrize("text", ["", "-1", "+1", "1e3", "NaN", "inf", "1.", ".5", "1,5", "1_000", "0x10", "１", " 1"])
def test_what_is_no_decimal_is_no_amount(text: str) -> None:
    with pytest.raises(BadInput, match="is not an amount"):
        EURO.units(text, "it")


def test_an_amount_finer_than_the_token_is_refused_and_not_rounded() -> None:
    assert EURO.units("0.10", "it") == EURO.units("0.1000", "it") == 10
    with pytest.raises(BadInput, match="more decimals than EUR, which has 2"):
        EURO.units("0.101", "it")


def test_an_amount_that_no_market_can_hold_is_refused() -> None:
    assert Money("X", 0).units(str(NOT_SELLING - 1), "it") == NOT_SELLING - 1
    for text in (str(NOT_SELLING), "9" * 400):
        with pytest.raises(BadInput, match="more than a market can hold"):
            Money("X", 0).units(text, "it")


def test_negative_amounts_are_shown_with_their_sign() -> None:
    assert EURO.text(-5) == "-0.05 EUR"
    assert EURO.short(-12345) == "-123.45"


def test_a_short_amount_is_cut_and_never_rounded_up() -> None:
    assert Money("X", 18).short(10**18 - 1) == "0.999999"


@given(st.integers(0, 10**9 - 1))
def test_a_duration_is_read_back_from_its_parts(seconds: int) -> None:
    hours, rest = divmod(seconds, 3600)
    assert parse_duration(f"{hours}h{rest // 60}m{rest % 60}s", "it") == seconds
    assert parse_duration(str(seconds), "it") == seconds


@pytest.mark.parametrize("text", ["", "m", "1 h", "1x", "-1m", "1.5h", "5m1h", "٣m", "٣", "9" * 10])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(BadInput, match="is not a duration"):
        parse_duration(text, "it")


def test_a_duration_is_said_in_two_units() -> None:
    assert [duration(s) for s in (0, 59, 5400, 90_061)] == ["0s", "59s", "1h 30m", "1d 1h"]


def test_a_share_has_2_to_the_16_as_one() -> None:
    assert parse_fraction("1", "it") == ONE
    assert parse_fraction("0.1", "it") == 6554
    for text in ("1.01", "-0", "a half"):
        with pytest.raises(BadInput, match="is not a share"):
            parse_fraction(text, "it")
