"""The look in float64 never hides a seller that the exact rules would have wanted to see."""

from dataclasses import replace
from math import isqrt
from random import Random

import numpy as np
import pytest
from rounds import random_exclusions, random_round, terms

from market_node.mechanism import candidates, gain
from market_node.records import NOT_SELLING, ONE, Bid, Model, Participant, Reveal, Round
from market_node.settlement import offers_to, row_weights, sellers, settle, weights
from market_node.shortlist import Shortlist
from market_node.sketch import similarity

MOST = (1 << 96) - 1
NO_MODEL = Model(bytes(32), bytes(32))
LIKE = bytes([100] * 1024)


def check(round, excluded=frozenset()):
    """Whether each buyer's candidates are those of a look at everybody; returns how many offers were not looked at."""
    alike = similarity([p.reveal.sketch if p.reveal else bytes(1024) for p in round.participants], 0)
    shortlist = Shortlist(round, sellers(round, excluded))
    left_out = 0
    for buyer, participant in enumerate(round.participants):
        if participant.reveal is None or participant.reveal.bid.value == 0:
            continue
        bid = participant.reveal.bid
        among = shortlist.of(buyer, bid, np.array(alike[buyer]))
        all_offers = offers_to(buyer, round, excluded, alike[buyer])
        listed = offers_to(buyer, round, excluded, alike[buyer], among)
        most = round.terms.max_sellers
        assert candidates(bid.value, bid.samples, listed, most) == candidates(bid.value, bid.samples, all_offers, most)
        left_out += len(all_offers) - len(listed)
    return left_out


def round_of(bids, reputations=None, **changes):
    reputations = reputations or [ONE] * len(bids)
    participants = tuple(
        Participant(f"0x{i:040x}", MOST, reveal=Reveal(bid, reputation, NO_MODEL, LIKE))
        for i, (bid, reputation) in enumerate(zip(bids, reputations, strict=True))
    )
    return Round(1, "0x0", terms(**changes), participants=participants)


def test_random_rounds_of_every_size_come_out_alike():
    """Ties, equal sketches, costs of 0, who does not sell, who asks for a name, and claims of 2**64 − 1."""
    rng = Random(1)
    left_out = 0
    for _ in range(150):
        round = random_round(rng, rng.choice([3, 9, 30]))
        left_out += check(round, random_exclusions(rng, round))
    assert left_out > 3_000


@pytest.mark.parametrize("value", [1 << 20, 10**18, 1 << 60, (1 << 95) + 12_345])
@pytest.mark.parametrize("samples", [1, 3_000, 1 << 40, 1 << 63])
def test_merits_that_differ_by_next_to_nothing_are_left_to_the_exact_rule(value, samples):
    """Float64 has steps of 2**43 at 2**96: what it cannot tell apart it must let pass."""
    rng = Random(value ^ samples)
    for _ in range(12):
        sizes = [rng.choice([1, 5, 1_000, 1 << 30]) for _ in range(40)]
        aim = isqrt(gain(value, samples, 1) << 96) * rng.randrange(100) // 100
        roots = [isqrt(gain(value, samples, size) << 96) - aim for size in sizes]
        costs = [max(0, (root * root >> 96) + rng.randint(-2, 2)) for root in roots]
        bids = [Bid(value, 0, samples, 0), *(Bid(0, c, s, 0) for c, s in zip(costs, sizes, strict=True))]
        check(round_of(bids, max_samples=1 << 63, max_sellers=rng.choice([1, 3, 8])))


def test_claims_past_int64_are_always_looked_at():
    """A similarity times 2**63 samples would wrap: such sellers are never ranked in float64."""
    rng = Random(3)
    for _ in range(40):
        samples = [rng.choice([1, 100, (1 << 46) - 1, 1 << 46, 1 << 63, (1 << 64) - 1]) for _ in range(30)]
        bids = [Bid(1 << 90, rng.choice([0, 1 << 80, 1 << 89, NOT_SELLING]), each, 0) for each in samples]
        check(round_of(bids, max_samples=(1 << 64) - 1, max_sellers=rng.choice([1, 4])))


def test_equal_sellers_are_told_apart_by_index_alone():
    round = round_of([Bid(10**18, 10**15, 500, 0)] * 30, max_sellers=4)
    assert [p.seller for p in settle(round, frozenset()).rows[0]] == [1, 2, 3, 4]
    assert [p.seller for p in settle(round, frozenset()).rows[2]] == [0, 1, 3, 4]
    check(round)


def test_a_seller_with_too_small_a_name_takes_nobodys_place():
    """Were the many believed ones counted whom the buyer does not want, the one that it does would be left out."""
    bids = [Bid(10**18, NOT_SELLING, 500, ONE), *[Bid(0, 0, 6_000, 0)] * 20, Bid(0, 10**15, 100, 0)]
    round = round_of(bids, [ONE, *[ONE - 1] * 20, ONE], max_sellers=1)
    check(round)
    assert [p.seller for p in settle(round, frozenset()).rows[0]] == [21]


def test_most_of_a_large_round_need_no_exact_look():
    rng = Random(5)
    bids = [
        Bid(rng.randrange(10**19, 10**20), rng.randrange(10**17, 10**18), rng.randrange(100, 5_000), 0)
        for _ in range(120)
    ]
    round = round_of(bids, max_samples=6_400, max_sellers=8)
    assert check(round) > 120 * 100


def test_nobody_sells_and_nobody_minds():
    assert settle(round_of([Bid(10**18, NOT_SELLING, 5, 0)] * 3), frozenset()).rows == ((), (), ())


def test_the_weights_of_a_row_are_those_of_a_look_at_everybody():
    rng = Random(6)
    for _ in range(20):
        round = random_round(rng, 12)
        right = settle(round, frozenset())
        alike = similarity(
            [p.reveal.sketch if p.reveal else bytes(1024) for p in round.participants], round.terms.similarity_floor
        )
        for buyer, shares in row_weights(replace(round, settlement=right), right).items():
            sizes = {offer.seller: offer.size for offer in offers_to(buyer, round, (), alike[buyer])}
            assert shares == weights([(purchase.seller, sizes[purchase.seller]) for purchase in right.rows[buyer]])
