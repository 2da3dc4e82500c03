"""The auditor: silent about a right round, and never silent about a wrong one."""

from dataclasses import replace
from random import Random

import pytest

from market_node.audit import KINDS, Trail, audit
from market_node.records import Purchase
from market_node.settlement import payout, refunds, settle
from tests.unit.rounds import random_round, spoilt

SEEDS = range(40)


def settled(seed: int):
    """A round with at least one purchase, settled rightly."""
    rng = Random(seed)
    while True:
        round_ = random_round(rng)
        settlement = settle(round_, frozenset())
        if any(settlement.rows):
            return rng, replace(round_, settlement=settlement)


def honest_trail(round_) -> Trail:
    """What contracts that follow the rules would have logged."""
    due = payout(round_, round_.settlement)
    accounts = [participant.account for participant in round_.participants]
    used = [(index, each.reveal.reputation) for index, each in enumerate(round_.participants) if each.reveal]
    return Trail(
        credits=dict(zip(accounts, due.credits, strict=True)),
        paid=frozenset(range(len(accounts))),
        burnt=due.burnt,
        aggregator=due.aggregator,
        reputations=tuple((index, reputation, reputation) for index, reputation in used),
    )


def kinds(round_, trail=None) -> list[str]:
    return [finding.kind for finding in audit(round_, trail or Trail()).findings]


def first_buyer(round_) -> int:
    return next(index for index, row in enumerate(round_.settlement.rows) if row)


def with_row(round_, buyer, row):
    rows = list(round_.settlement.rows)
    rows[buyer] = row
    return replace(round_, settlement=replace(round_.settlement, rows=tuple(rows)))


@pytest.mark.parametrize("seed", SEEDS)
def test_a_right_round_has_no_findings(seed):
    _, round_ = settled(seed)
    assert kinds(round_, honest_trail(round_)) == []


@pytest.mark.parametrize("seed", SEEDS)
def test_every_wrong_row_is_found_and_no_other(seed):
    rng, round_ = settled(seed)
    true, wrong = round_.settlement, spoilt(rng, round_, round_.settlement)
    found = {finding.participant for finding in audit(replace(round_, settlement=wrong), Trail()).findings}
    assert found == {buyer for buyer, row in enumerate(wrong.rows) if row != true.rows[buyer]}


@pytest.mark.parametrize("off", [-1, 1])
@pytest.mark.parametrize("seed", range(5))
def test_one_unit_off_names_buyer_expected_and_posted(seed, off):
    _, round_ = settled(seed)
    buyer = first_buyer(round_)
    right, *rest = round_.settlement.rows[buyer]
    wrong = with_row(round_, buyer, (Purchase(right.seller, right.price + off), *rest))
    [finding] = audit(wrong, Trail()).findings
    assert (finding.kind, finding.participant) == ("wrong-price", buyer)
    assert (finding.expected, finding.posted) == (right.price, right.price + off)
    assert finding.account == round_.participants[buyer].account


def test_a_row_for_somebody_who_did_not_reveal_is_named_though_it_moves_nothing():
    _, round_ = settled(1)
    buyer = first_buyer(round_)
    silent = list(round_.participants)
    silent[buyer] = replace(silent[buyer], reveal=None)
    order = tuple(index for index in round_.reveal_order if index != buyer)
    without = replace(round_, participants=tuple(silent), reveal_order=order)
    wrong = with_row(replace(without, settlement=settle(without, frozenset())), buyer, (Purchase(0, 1),))
    assert kinds(wrong) == ["ignored-row"]


@pytest.mark.parametrize("seed", range(5))
def test_a_credit_that_is_one_unit_off_is_found(seed):
    _, round_ = settled(seed)
    trail = honest_trail(round_)
    account = round_.participants[0].account
    off = replace(trail, credits={**trail.credits, account: trail.credits[account] + 1})
    assert kinds(round_, off) == ["wrong-credit", "unbalanced"]


def test_a_wrong_burn_and_a_wrong_aggregator_payment_are_found():
    _, round_ = settled(3)
    trail = honest_trail(round_)
    assert "wrong-burn" in kinds(round_, replace(trail, burnt=trail.burnt + 1))
    assert "wrong-aggregator" in kinds(round_, replace(trail, aggregator=trail.aggregator - 1))


def test_a_wrong_reputation_is_found():
    _, round_ = settled(3)
    trail = honest_trail(round_)
    index, due, used = trail.reputations[0]
    off = replace(trail, reputations=((index, due, used + 1), *trail.reputations[1:]))
    assert kinds(round_, off) == ["wrong-reputation"]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_void_round_is_audited_against_its_refunds(seed):
    _, round_ = settled(seed)
    unsettled = replace(round_, settlement=None)
    due = refunds(unsettled, with_fault=True)
    accounts = [participant.account for participant in round_.participants]
    trail = Trail(
        credits=dict(zip(accounts, due.credits, strict=True)),
        paid=frozenset(range(len(accounts))),
        burnt=due.burnt,
        aggregator=due.aggregator,
        refunded=True,
    )
    assert kinds(unsettled, trail) == []
    assert "wrong-credit" in kinds(unsettled, replace(trail, credits={**trail.credits, accounts[0]: 0}))


def test_half_a_payout_is_audited_as_far_as_it_went():
    _, round_ = settled(2)
    trail = honest_trail(round_)
    accounts = [participant.account for participant in round_.participants]
    half = replace(trail, paid=frozenset({0}), credits={accounts[0]: trail.credits[accounts[0]]}, aggregator=None)
    assert kinds(round_, half) == []


def test_a_deposit_outside_the_terms_is_found():
    _, round_ = settled(2)
    first, *rest = round_.participants
    small = replace(round_, participants=(replace(first, deposit=1), *rest))
    assert "wrong-deposit" in kinds(small)


def test_every_finding_has_an_explanation():
    rng, round_ = settled(4)
    wrong = replace(round_, settlement=spoilt(rng, round_, round_.settlement))
    assert {finding.kind for finding in audit(wrong, Trail()).findings} <= KINDS.keys()
