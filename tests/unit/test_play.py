"""One simulated round: the money is the contract's, and worth follows what is true."""

from dataclasses import replace
from random import Random

import pytest

from market_node.records import LEAST_REPUTATION, Bid, Purchase
from market_node.settlement import settle
from market_node.simulation.play import Clearing, Outcome, Owner, Seat, played, real_gains, seated, standing_after
from tests.unit.rounds import ZERO_SKETCH, account, family, sketch, terms

TOKEN = 10**18
TERMS = terms(fee=TOKEN, reveal_bond=10 * TOKEN, bond=160 * TOKEN)


def town(n: int = 5) -> list[Seat]:
    """Owners with like data, who say what is true."""
    rng = Random(7)
    base = family(rng)
    owners = [Owner(number, value=80 * TOKEN, cost=TOKEN, samples=500) for number in range(n)]
    return [Seat(owner, account(owner.number), owner.truth, sketch(rng, base, 40)) for owner in owners]


def play(seats: list[Seat]) -> Outcome:
    round_ = seated(seats, TERMS)
    return played(seats, round_, Clearing(settle(round_, frozenset()).rows))


def test_what_owners_lose_in_money_is_the_aggregators_or_burnt():
    outcome = play(town())
    money = sum(result.money for result in outcome.results.values())
    assert money + outcome.payout.aggregator - TERMS.bond + outcome.payout.burnt == 0
    assert outcome.volume > 0


def test_who_says_the_truth_never_loses_more_than_the_fee():
    assert all(result.profit >= -TERMS.fee for result in play(town()).results.values())


def test_claimed_samples_cost_the_buyer_and_bring_it_nothing():
    seats = town()
    honest = play(seats).real_gains[1]
    small = replace(seats[0].owner, samples=5)
    lying = replace(seats[0], owner=small)  # still claims 500
    assert play([lying, *seats[1:]]).real_gains[1] < honest


def test_a_worthless_model_under_a_good_sketch_brings_its_buyers_nothing():
    seats = town(2)
    fraud = replace(seats[0], real=ZERO_SKETCH)
    outcome = play([fraud, seats[1]])
    assert outcome.results[0].earned > 0
    assert outcome.real_gains[1] == 0


def test_who_buys_from_itself_gains_and_loses_nothing_by_it():
    seats = town(2)
    twin = replace(
        seats[0], account=account(7), bid=replace(seats[0].bid, value=0), owner=replace(seats[0].owner, value=0)
    )
    round_ = seated([*seats, twin], TERMS)
    outcome = played([*seats, twin], round_, Clearing(((Purchase(2, 5 * TOKEN),), (), ())))
    assert outcome.results[0].profit == -2 * TERMS.fee


def test_accounts_of_one_owner_bring_no_more_than_it_has():
    seats = town(2)
    owner = replace(seats[0].owner, samples=1_000, value=0)
    one, other = (replace(seats[0], owner=owner, account=account(place), bid=Bid(0, 0, 1_000, 0)) for place in (5, 6))
    round_ = seated([one, other, seats[1]], replace(TERMS, max_samples=32_000))
    alone = real_gains([one, other, seats[1]], round_, ((), (), (Purchase(0, 0),)))
    assert real_gains([one, other, seats[1]], round_, ((), (), (Purchase(0, 0), Purchase(1, 0)))) == alone


def test_an_owner_with_two_accounts_has_one_result():
    seats = town(3)
    second = replace(seats[2], owner=seats[1].owner)
    outcome = play([*seats[:2], second])
    assert set(outcome.results) == {0, 1}
    assert outcome.results[1].sold == len([p for row in outcome.round.settlement.rows for p in row if p.seller > 0])


def test_what_an_outsider_pays_is_nobodys_loss():
    seats = town(2)
    round_ = seated(seats, TERMS)
    rows = ((), (Purchase(0, 5 * TOKEN),))
    outcome = played(seats, round_, Clearing(rows, {1: 2 * TOKEN}))
    assert outcome.results[1].spent == 3 * TOKEN
    assert outcome.results[0].earned == 5 * TOKEN
    assert outcome.subsidy == 2 * TOKEN


def test_who_does_not_reveal_loses_its_bond_and_half_its_standing():
    seats = town(3)
    silent = replace(seats[0], reveals=False)
    outcome = play([silent, *seats[1:]])
    assert outcome.results[0].money == -TERMS.reveal_bond
    standing = {account(0): 4 * LEAST_REPUTATION}
    assert standing_after(outcome, standing)[account(0)] == 2 * LEAST_REPUTATION


@pytest.mark.parametrize("rating", [0, 75, 100])
def test_ratings_that_a_round_holds_move_the_standing_of_who_sold(rating):
    seats = town()
    round_ = seated(seats, TERMS)
    round_ = replace(round_, participants=tuple(replace(each, rating=rating) for each in round_.participants))
    outcome = played(seats, round_, Clearing(settle(round_, frozenset()).rows))
    after = standing_after(outcome, {account(0): 8 * LEAST_REPUTATION})[account(0)]
    assert after == 8 * LEAST_REPUTATION * (50 + rating) // 100
