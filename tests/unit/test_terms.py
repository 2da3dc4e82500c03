"""What terms allow, checked before it costs gas."""

import pytest

from market_node.errors import BadInput
from market_node.records import LEAST_VALUE, NOT_SELLING, ONE, Bid, Terms
from market_node.terms import check_bid, choose_deposit, deposit_range, exposure

TOKEN = 10**18
TERMS = Terms(
    task=bytes(32),
    fee=TOKEN,
    reveal_bond=10 * TOKEN,
    bond=200 * TOKEN,
    max_samples=6400,
    similarity_floor=6554,
    max_sellers=4,
    max_participants=16,
    commit_deadline=1_000_000,
    draw_time=100,
    reveal_time=200,
    settle_time=300,
    challenge_time=400,
    refute_time=500,
)
BUYER = Bid(value=100 * TOKEN, cost=2 * TOKEN, samples=130, min_reputation=0)
LEAST = 100 * TOKEN + TOKEN + 10 * TOKEN + 4


def test_the_deposit_hides_the_value_where_the_balance_allows():
    assert choose_deposit(TERMS, BUYER, available=1000 * TOKEN) == 160 * TOKEN


def test_a_smaller_balance_locks_all_of_itself():
    assert choose_deposit(TERMS, BUYER, available=LEAST + 5) == LEAST + 5


@pytest.mark.parametrize("asked", [LEAST, 160 * TOKEN])
def test_a_deposit_at_either_end_of_the_range_is_accepted(asked):
    assert choose_deposit(TERMS, BUYER, 1000 * TOKEN, asked) == asked


@pytest.mark.parametrize(
    ("asked", "available", "says"),
    [
        (LEAST - 1, 1000 * TOKEN, "too small"),
        (160 * TOKEN + 1, 1000 * TOKEN, "too large"),
        (LEAST, LEAST - 1, "fund the account first"),
        (None, LEAST - 1, "fund the account first"),
    ],
)
def test_a_deposit_that_does_not_fit_says_why(asked, available, says):
    with pytest.raises(BadInput, match=says):
        choose_deposit(TERMS, BUYER, available, asked)


def test_a_value_that_no_deposit_covers_says_so():
    with pytest.raises(BadInput, match="bid a lower value"):
        choose_deposit(TERMS, Bid(150 * TOKEN, 0, 1, 0), available=1000 * TOKEN)


def test_exposure_adds_up_the_phases_and_names_each_loss():
    stake = exposure(TERMS, BUYER, 160 * TOKEN)
    assert stake.until == 1_000_000 + 100 + 200 + 300 + 400 + 500
    assert stake.without_reveal == 10 * TOKEN
    assert stake.honest == 101 * TOKEN + 4
    assert stake.worst == 160 * TOKEN


def test_a_pure_seller_can_lose_only_the_fee_while_somebody_audits():
    assert exposure(TERMS, Bid(0, 1, 1, 0), 160 * TOKEN).honest == TOKEN


@pytest.mark.parametrize(
    "bid",
    [
        Bid(1, 0, 1, 0),
        Bid(LEAST_VALUE - 1, 0, 1, 0),
        Bid(1 << 96, 0, 1, 0),
        Bid(0, NOT_SELLING + 1, 1, 0),
        Bid(0, -1, 1, 0),
        Bid(0, 0, 0, 0),
        Bid(0, 0, 1 << 64, 0),
        Bid(0, 0, 1, ONE + 1),
    ],
)
def test_a_bid_that_could_never_be_revealed_is_refused_before_the_commit(bid):
    with pytest.raises(BadInput):
        check_bid(bid)


@pytest.mark.parametrize("bid", [Bid(0, NOT_SELLING, 1, ONE), Bid(LEAST_VALUE, 0, (1 << 64) - 1, 0)])
def test_the_corners_of_a_bid_are_accepted(bid):
    check_bid(bid)


def test_the_least_deposit_leaves_a_unit_of_rounding_per_seller():
    assert deposit_range(TERMS) == (11 * TOKEN + 4, 160 * TOKEN)
