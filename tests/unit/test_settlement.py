"""Rows, money and reputations of whole rounds: each against its slow version, and what must hold of every round."""

import time
from dataclasses import replace
from random import Random

import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rounds import ZERO_SKETCH, account, family, random_exclusions, random_round, sketch, spoilt, terms

from market_node.codec import NO_REVEALS, bid_record, next_reveals_hash
from market_node.errors import WrongPhase
from market_node.mechanism import Offer, gain
from market_node.records import (
    LEAST_REPUTATION,
    NOT_SELLING,
    ONE,
    Bid,
    Model,
    Participant,
    Purchase,
    Reveal,
    Round,
    Settlement,
)
from market_node.settlement import (
    Payout,
    Refund,
    challenge_bond,
    counted_rows,
    offers_to,
    payout,
    refunds,
    reputation_after,
    reputations,
    reveals_hash,
    row_weights,
    settle,
    weights,
)

VALUE = 1 << 24
LIKE = bytes([100] * 1024)
"""Ada's, Ben's and Cyd's sketch: three models that point the same way."""


def revealed(value: int = 0, cost: int = NOT_SELLING, **changes: object) -> Participant:
    """A participant whose deposit covers its value to the unit; 3,000 samples, and the reputation of a newcomer."""
    sketch, samples, least = (changes.pop(k, d) for k, d in [("sketch", LIKE), ("samples", 3_000), ("least", 0)])
    reputation = changes.pop("reputation", LEAST_REPUTATION)
    reveal = Reveal(Bid(value, cost, samples, least), reputation, Model(bytes(32), bytes(32)), sketch)
    deposit = value + terms().fee + terms().reveal_bond + terms().max_sellers
    return replace(Participant(account(0), deposit, reveal=reveal), **changes)


def missing() -> Participant:
    """Committed, and did not reveal."""
    return Participant(account(0), deposit=3 << 24)


def round_of(*participants: Participant, **changes: object) -> Round:
    named = tuple(replace(p, account=account(i)) for i, p in enumerate(participants))
    order = tuple(i for i, p in enumerate(participants) if p.reveal is not None)
    return Round(1, account(99), terms(**changes), participants=named, seed=bytes(32), reveal_order=order)


@pytest.fixture(scope="module")
def tried() -> list[tuple[Round, Settlement, Settlement]]:
    """400 rounds with their right settlement and a spoilt one."""
    rng = Random(1)
    found = []
    for i in range(400):
        round = random_round(rng, fresh=i % 4 == 0)
        right = settle(round, random_exclusions(rng, round))
        found.append((round, right, spoilt(rng, round, right)))
    return found


@pytest.fixture(scope="module")
def settled(tried) -> list[tuple[Round, Settlement]]:
    """Each of those rounds twice: settled right, and wrong."""
    return [(round, settlement) for round, right, wrong in tried for settlement in (right, wrong)]


def money_in(round: Round) -> int:
    return sum(participant.deposit for participant in round.participants) + round.terms.bond


# --- rows ---


def test_settlements_are_the_slow_ones(tried):
    for round, right, _ in tried[:100]:
        assert right == oracle.settle(round, right.excluded)


def test_the_rounds_tried_have_what_the_rules_are_about(tried):
    rows = [row for _, right, _ in tried for row in right.rows]
    assert sum(len(row) > 0 for row in rows) > 500
    assert sum(len(row) > 1 for row in rows) > 150
    paid = [
        (participant, row)
        for round, right, _ in tried
        for participant, row in zip(round.participants, counted_rows(round, right), strict=True)
    ]
    assert sum(p.rejected and row != () for p, row in paid) > 50
    assert sum(p.reveal is None for p, _ in paid) > 100
    assert sum(counted_rows(round, wrong) != wrong.rows for round, _, wrong in tried) > 200


SELLER = revealed(cost=1)


@pytest.mark.parametrize(
    ("seller", "why_not"),
    [
        (missing(), "did not reveal"),
        (revealed(cost=NOT_SELLING), "does not sell"),
        (revealed(cost=1, sketch=ZERO_SKETCH), "is like nobody"),
        (revealed(cost=1, sketch=bytes([156] * 1024)), "points the other way"),
        (revealed(cost=1, reputation=LEAST_REPUTATION + 99), "has too small a name"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_no_offer_from_a_seller_that(seller, why_not):
    buyer = revealed(VALUE, least=LEAST_REPUTATION + 100)
    known = replace(SELLER, reveal=replace(SELLER.reveal, reputation=LEAST_REPUTATION + 100))
    sold = settle(round_of(buyer, known, seller), frozenset()).rows[0]
    assert [purchase.seller for purchase in sold] == [1], why_not


def test_the_excluded_neither_sell_nor_buy():
    round = round_of(revealed(VALUE, 1), revealed(VALUE, 1), revealed(VALUE, 1))
    rows = settle(round, frozenset({1})).rows
    assert [[p.seller for p in row] for row in rows] == [[2], [], [0]]


def test_nobody_buys_from_itself():
    assert offers_to(1, round_of(*[revealed(VALUE, 1)] * 3), (), [ONE] * 3) == [Offer(0, 1, 3_000), Offer(2, 1, 3_000)]


def test_a_model_without_a_whole_effective_sample_is_no_offer():
    round = round_of(*[revealed(VALUE, 1)] * 3)
    just, too_few = -(-ONE // 3_000), ONE // 3_000
    assert offers_to(0, round, (), [0, just, too_few]) == [Offer(1, 1, 1)]


def test_who_has_not_revealed_is_offered_nothing():
    with pytest.raises(WrongPhase, match="participant 0 of round 1 did not reveal"):
        offers_to(0, round_of(missing(), SELLER), (), [ONE] * 2)


def test_right_rows_always_count(tried):
    for round, right, _ in tried:
        assert counted_rows(round, right) == right.rows


def test_1024_participants_settle_within_the_time_that_an_auditor_has():
    rng = Random(2)
    common = family(rng)
    crowd = [
        revealed(
            rng.randrange(1 << 50, 1 << 55), rng.randrange(1 << 53), sketch=sketch(rng, common, 60), samples=3_000 + i
        )
        for i in range(1_024)
    ]
    start = time.process_time()
    right = settle(round_of(*crowd), frozenset())
    assert time.process_time() - start < 20
    assert sum(map(len, right.rows)) > 1_024


# --- what counts ---


@pytest.mark.parametrize(
    ("row", "counts"),
    [
        ((Purchase(1, VALUE + 8),), True),  # all that the deposit leaves
        ((Purchase(1, VALUE + 9),), False),
        ((Purchase(1, VALUE), Purchase(2, 8)), True),
        ((Purchase(1, VALUE), Purchase(2, 9)), False),
        ((Purchase(2, 1),), True),
        ((Purchase(3, 1),), False),  # there is no participant 3
        ((Purchase(1, 1), Purchase(3, 0)), False),
    ],
)
def test_a_wrong_row_counts_only_within_its_buyers_means(row, counts):
    round = round_of(revealed(VALUE), SELLER, SELLER)
    settlement = Settlement(frozenset(), (row, (), ()))
    assert counted_rows(round, settlement)[0] == (row if counts else ())


def test_no_row_counts_of_a_buyer_that_is_excluded_or_did_not_reveal():
    sale = (Purchase(2, 1),)
    round = round_of(revealed(VALUE), missing(), SELLER)
    assert counted_rows(round, Settlement(frozenset({0}), (sale, sale, ()))) == ((), (), ())
    assert counted_rows(round, Settlement(frozenset(), (sale, sale, ()))) == (sale, (), ())


# --- the payout ---


def test_payouts_are_the_slow_ones(settled):
    for round, settlement in settled:
        assert payout(round, settlement) == oracle.payout(round, settlement)


def test_money_is_conserved_to_the_unit(settled):
    for round, settlement in settled:
        paid = payout(round, settlement)
        assert sum(paid.credits) + paid.burnt + paid.aggregator == money_in(round)


def test_nobody_ends_below_nothing_whatever_was_posted(settled):
    for round, settlement in settled:
        paid = payout(round, settlement)
        assert min(*paid.credits, paid.burnt) >= 0
        assert paid.aggregator >= round.terms.bond


def test_a_right_settlement_leaves_every_buyer_its_deposit_less_value_fee_bond_and_rounding(tried):
    for round, right, _ in tried:
        paid = payout(round, right)
        for participant, credit, row in zip(round.participants, paid.credits, right.rows, strict=True):
            if participant.reveal is not None:
                kept = round.terms.fee + round.terms.reveal_bond + len(row)
                assert credit >= participant.deposit - participant.reveal.bid.value - kept


def test_a_sale_moves_its_price_and_nothing_else():
    round = round_of(revealed(VALUE), SELLER)
    right = settle(round, frozenset())
    price = gain(VALUE, 3_000, 3_000)
    assert right.rows == ((Purchase(1, price),), ())
    ada, ben = (p.deposit - round.terms.fee for p in round.participants)
    assert payout(round, right) == Payout((ada - price, ben + price), 0, round.terms.bond + 2 * round.terms.fee)


def test_a_rejection_burns_price_fee_and_bond_and_the_seller_gets_nothing():
    round = round_of(revealed(VALUE, rejected=True), SELLER)
    price, fee, bond = 1_000, round.terms.fee, round.terms.reveal_bond
    ada, ben = (p.deposit for p in round.participants)
    paid = payout(round, Settlement(frozenset(), ((Purchase(1, price),), ())))
    assert paid == Payout((ada - price - fee - bond, ben - fee), price + fee + bond, round.terms.bond + fee)


def test_a_rejection_of_nothing_counts_for_nothing():
    round = round_of(revealed(VALUE, rejected=True), SELLER)
    quiet = round_of(revealed(VALUE), SELLER)
    for posted in [((), ()), ((Purchase(2, 1),), ())]:  # no row; a row that does not count
        settlement = Settlement(frozenset(), posted)
        assert payout(round, settlement) == payout(quiet, settlement)


def test_an_exclusion_burns_the_bond_and_spares_the_fee():
    round = round_of(revealed(VALUE), SELLER, SELLER)
    fee, bond = round.terms.fee, round.terms.reveal_bond
    ada, ben, cyd = (p.deposit for p in round.participants)
    paid = payout(round, Settlement(frozenset({2}), ((), (), ())))
    assert paid == Payout((ada - fee, ben - fee, cyd - bond), bond, round.terms.bond + 2 * fee)


def test_an_exclusion_of_who_did_not_reveal_changes_nothing():
    round = round_of(revealed(VALUE), SELLER, missing())
    rows = settle(round, frozenset()).rows
    assert payout(round, Settlement(frozenset({2}), rows)) == payout(round, Settlement(frozenset(), rows))


def test_lost_bonds_are_shared_by_who_revealed_the_excluded_too_and_the_rest_is_the_aggregators():
    round = round_of(revealed(VALUE), SELLER, SELLER, missing(), missing(), reveal_bond=1 << 24)
    fee, bond = round.terms.fee, round.terms.reveal_bond
    share, rest = divmod(2 * bond, 3)
    assert rest == 2
    paid = payout(round, Settlement(frozenset({2}), ((),) * 5))
    change = [credit - p.deposit for credit, p in zip(paid.credits, round.participants, strict=True)]
    assert change == [share - fee, share - fee, share - bond, -bond, -bond]
    assert (paid.burnt, paid.aggregator) == (bond, round.terms.bond + 2 * fee + rest)


def test_a_wrong_row_that_nobody_challenged_pays_even_who_did_not_reveal():
    round = round_of(revealed(VALUE), SELLER, missing())
    quiet = payout(round, Settlement(frozenset(), ((), (), ())))
    paid = payout(round, Settlement(frozenset(), ((Purchase(2, 77),), (), ())))
    assert [now - before for now, before in zip(paid.credits, quiet.credits, strict=True)] == [-77, 0, 77]


@pytest.mark.parametrize("participants", [(revealed(VALUE), missing()), (missing(), missing())])
def test_a_round_with_fewer_than_two_reveals_has_no_payout(participants):
    with pytest.raises(WrongPhase, match="is void"):
        payout(round_of(*participants), Settlement(frozenset(), ((), ())))


# --- void rounds ---


@pytest.mark.parametrize("challengers", [0, 1, 2, 3, 7])
@pytest.mark.parametrize("bonds", [16, 32, 33, 1_000])
def test_refunds_are_the_slow_ones_and_conserve_money(challengers, bonds, tried):
    for drawn, _, _ in tried[:50]:
        bond = bonds * drawn.terms.reveal_bond + drawn.terms.bond % 31
        round = replace(drawn, terms=replace(drawn.terms, bond=bond))
        refund = refunds(round, with_fault=True, challengers=["0x"] * challengers)
        assert refund == oracle.refunds(round, True, challengers)
        assert sum(refund.credits) + refund.burnt + challengers * refund.challenger == money_in(round)
        assert refund.burnt >= round.terms.bond // 2
        assert refund.aggregator == 0


def test_with_fault_half_the_bond_burns_a_quarter_rewards_and_a_quarter_goes_to_who_revealed():
    round = round_of(revealed(VALUE), SELLER, SELLER, missing(), bond=(1 << 28) + 3, reveal_bond=1 << 24)
    quarter, bond = 1 << 26, 1 << 24
    deposits = [p.deposit for p in round.participants]
    share, rest = divmod(quarter + bond, 3)
    assert refunds(round, with_fault=True, challengers=["0x1", "0x2", "0x1"]) == Refund(
        (*(deposit + share for deposit in deposits[:3]), deposits[3] - bond),
        burnt=2 * quarter + 3 + quarter % 3 + rest,
        aggregator=0,
        challenger=quarter // 3,
    )


def test_a_bond_however_large_rewards_challengers_with_eight_reveal_bonds_at_most():
    round = round_of(revealed(VALUE), SELLER, bond=1 << 40, reveal_bond=1 << 24)
    assert challenge_bond(round.terms) == 1 << 24
    assert refunds(round, with_fault=True, challengers=["0x1"]).challenger == 8 << 24


def test_without_a_challenger_its_quarter_burns():
    round = round_of(SELLER, SELLER, bond=1 << 30)
    assert refunds(round, with_fault=True).burnt == 3 << 28


def test_without_fault_the_one_that_revealed_gets_the_lost_bonds():
    round = round_of(missing(), SELLER, missing())
    bond = round.terms.reveal_bond
    ada, ben, cyd = (p.deposit for p in round.participants)
    assert refunds(round, with_fault=False) == Refund((ada - bond, ben + 2 * bond, cyd - bond), 0, round.terms.bond, 0)


@pytest.mark.parametrize("n", [0, 1, 4])
def test_without_fault_and_without_a_reveal_everyone_gets_all_back(n):
    round = round_of(*[missing()] * n)
    assert refunds(round, with_fault=False) == Refund((3 << 24,) * n, 0, round.terms.bond, 0)


# --- reputations ---

RATINGS = st.lists(st.integers(0, 100), max_size=6)
REPUTATIONS = st.integers(LEAST_REPUTATION, ONE)


@given(REPUTATIONS, st.booleans(), RATINGS)
def test_reputations_are_the_slow_ones(reputation, gone, ratings):
    assert reputation_after(reputation, missing=gone, ratings=ratings) == oracle.reputation_after(
        reputation, gone, ratings
    )


@pytest.mark.parametrize(
    ("before", "gone", "ratings", "after"),
    [
        (10_000, False, [], 10_000),
        (10_000, False, [100], 12_500),
        (10_000, False, [100, 100], 12_500),
        (10_000, False, [100, 100, 100], 15_000),
        (10_000, False, [75], 11_250),
        (10_000, False, [75, 75, 75], 12_500),
        (10_000, False, [50, 50, 50], 10_000),
        (10_000, False, [0], 7_500),
        (10_000, False, [0, 0, 0], 5_000),
        (10_001, False, [100, 50, 49], 11_634),  # 10,001 · 349 / 300 = 11,634.5
        (10_001, True, [], 5_000),
        (10_000, True, [100, 100, 100], 5_000),
        (ONE, False, [100], ONE),
        (ONE - 1, False, [51], ONE),
        (LEAST_REPUTATION, True, [], LEAST_REPUTATION),
        (2 * LEAST_REPUTATION + 1, True, [], LEAST_REPUTATION),
        (LEAST_REPUTATION + 1, False, [0], LEAST_REPUTATION),
    ],
)
def test_a_reputation_moves_with_its_ratings(before, gone, ratings, after):
    assert reputation_after(before, missing=gone, ratings=ratings) == after


def test_only_who_bought_rated_and_did_not_reject_has_a_say():
    sale = (Purchase(5, 1),)
    buyers = [
        revealed(VALUE, rating=100),
        revealed(VALUE, rating=100),
        revealed(VALUE, rating=40),
        revealed(VALUE),  # says nothing
        revealed(VALUE, rejected=True, rating=0),
    ]
    round = round_of(*buyers, SELLER, revealed(VALUE, rating=0), revealed(VALUE, rating=0), missing())
    settlement = Settlement(frozenset({7}), (*[sale] * 5, (), (), sale, sale))
    after = reputations(round, settlement, [30_000] * 9)
    assert after == (*[30_000] * 5, 30_000 * (150 + 240) // 300, 30_000, 15_000, 15_000)


def test_it_is_the_reputation_now_that_moves_and_not_the_one_revealed():
    round = round_of(revealed(VALUE, rating=100), revealed(cost=0, reputation=ONE), missing())
    assert reputations(round, Settlement(frozenset(), ((Purchase(1, 1),), (), ())), [4_000, 8_000, 6_001]) == (
        4_000,
        10_000,
        3_000,
    )


# --- weights ---


@given(st.dictionaries(st.integers(0, 1023), st.integers(1, 1 << 64), min_size=1, max_size=32))
def test_weights_add_up_and_follow_the_samples(sizes):
    shares = weights(list(sizes.items()))
    total, first = sum(sizes.values()), min(sizes)
    assert sum(shares.values()) == ONE
    for seller, size in sizes.items():
        exact = oracle.Fraction(size, total) * ONE
        assert shares[seller] == exact // 1 if seller != first else shares[seller] >= exact // 1


def test_what_rounding_leaves_goes_to_the_lowest_index_not_to_the_first_bought():
    assert weights([(5, 1), (2, 1), (9, 1)]) == {5: 21_845, 2: 21_846, 9: 21_845}


def test_the_weights_of_a_round_are_those_of_its_rows():
    common, rng = family(Random(3)), Random(3)
    crowd = [
        revealed(VALUE, rng.randrange(VALUE // 9), sketch=sketch(rng, common, 40), samples=rng.randint(500, 5_000))
        for _ in range(6)
    ]
    round = round_of(*crowd)
    right = settle(round, frozenset())
    found = row_weights(round, right)
    similar = oracle.similarity([p.reveal.sketch for p in crowd], round.terms.similarity_floor)
    assert {buyer: set(shares) for buyer, shares in found.items()} == {
        buyer: {purchase.seller for purchase in row} for buyer, row in enumerate(right.rows) if row
    }
    assert any(len(shares) > 1 for shares in found.values())
    for buyer, shares in found.items():
        sizes = [
            (j, oracle.effective_samples(crowd[j].reveal.bid.samples, LEAST_REPUTATION, 6_400 * 32, similar[buyer][j]))
            for j in shares
        ]
        assert shares == weights(sizes)


# --- the running hash ---


def test_the_reveals_hash_follows_the_order_of_the_reveals():
    round = replace(round_of(SELLER, revealed(VALUE), missing()), reveal_order=(1, 0))
    running = NO_REVEALS
    for index in (1, 0):
        reveal = round.participants[index].reveal
        record = bid_record(index, reveal.bid, reveal.reputation, reveal.sketch, reveal.model)
        running = next_reveals_hash(running, index, record)
    assert reveals_hash(round) == running
    assert reveals_hash(replace(round, reveal_order=(0, 1))) != running
    assert reveals_hash(replace(round, reveal_order=())) == NO_REVEALS
