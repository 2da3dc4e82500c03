"""The auditor: silent about a right round, and never silent about a wrong one."""

from dataclasses import replace
from random import Random

import pytest

from market_node.audit import KINDS, Trail, audit
from market_node.records import Challenge, Claim, Purchase
from market_node.settlement import challenge_bond, payout, refunds, settle
from tests.unit.rounds import account, random_round, spoilt

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


# --- challenges ---


ALICE, BOB, CAROL = (account(60 + index) for index in range(3))
"""Alice and Bob challenge, Carol refutes Bob."""


def challenged(seed: int, *, refuted: bool = False):
    """A round that Alice's challenge has made void, or, where she is refuted too, has not."""
    _, round_ = settled(seed)
    said = Claim(first_buyer(round_), (), 0)
    challenges = (Challenge(ALICE, said, CAROL if refuted else None), Challenge(BOB, said, refuter=CAROL))
    return replace(round_, challenges=challenges)


def void_trail(round_) -> Trail:
    """What contracts that follow the rules would have logged, down to the last refund."""
    due = refunds(round_, with_fault=True, challengers=(ALICE,))
    bond, accounts = challenge_bond(round_.terms), [participant.account for participant in round_.participants]
    return Trail(
        credits=dict(zip(accounts, due.credits, strict=True)),
        paid=frozenset(range(len(accounts))),
        burnt=due.burnt,
        aggregator=due.aggregator,
        refunded=True,
        rewards={0: (ALICE, bond + round_.terms.bond // 4), 1: (CAROL, bond)},
    )


def after_refund(round_):
    first, *rest = round_.challenges
    return replace(
        round_, challenges=(replace(first, refunded=challenge_bond(round_.terms) + round_.terms.bond // 4), *rest)
    )


@pytest.mark.parametrize("seed", range(10))
def test_a_round_that_a_challenge_made_void_is_audited_to_the_unit(seed):
    round_ = challenged(seed)
    assert kinds(after_refund(round_), void_trail(round_)) == []


@pytest.mark.parametrize("seed", range(5))
def test_what_a_challenger_has_not_fetched_is_still_locked(seed):
    round_ = challenged(seed)
    trail = void_trail(round_)
    waiting = replace(trail, rewards={1: trail.rewards[1]})
    assert kinds(round_, waiting) == []
    assert kinds(after_refund(round_), waiting) == ["unbalanced"], "said to be refunded, and not credited"


@pytest.mark.parametrize("seed", range(5))
def test_a_challenger_paid_before_everybody_else_is_no_finding(seed):
    round_ = challenged(seed)
    assert kinds(after_refund(round_), Trail(rewards=void_trail(round_).rewards)) == []


@pytest.mark.parametrize("challenge", [0, 1])
@pytest.mark.parametrize("off", [-1, 1])
def test_a_reward_that_is_one_unit_off_is_found(challenge, off):
    round_ = after_refund(challenged(0))
    trail = void_trail(round_)
    whose, amount = trail.rewards[challenge]
    wrong = replace(trail, rewards={**trail.rewards, challenge: (whose, amount + off)})
    found = audit(round_, wrong).findings
    assert [finding.kind for finding in found] == ["unbalanced", "wrong-reward"]
    assert (found[1].account, found[1].expected, found[1].posted) == (whose, amount, amount + off)


def test_a_reward_in_the_wrong_hands_is_found():
    round_ = after_refund(challenged(0))
    trail = void_trail(round_)
    amount = trail.rewards[0][1]
    [finding] = audit(round_, replace(trail, rewards={**trail.rewards, 0: (BOB, amount)})).findings
    assert (finding.kind, finding.account) == ("wrong-reward", ALICE)
    assert BOB in finding.text


def test_refunds_as_if_nobody_had_challenged_are_found():
    """The quarter that is a challenger's would be burnt."""
    round_ = challenged(0)
    due = refunds(round_, with_fault=True)
    assert "wrong-burn" in kinds(round_, replace(void_trail(round_), burnt=due.burnt))


@pytest.mark.parametrize("seed", range(5))
def test_a_payout_after_refuted_challenges_is_audited_to_the_unit(seed):
    round_ = challenged(seed, refuted=True)
    bond = challenge_bond(round_.terms)
    trail = replace(honest_trail(round_), rewards={0: (CAROL, bond), 1: (CAROL, bond)})
    assert kinds(round_, trail) == []
    assert "wrong-reward" in kinds(round_, replace(trail, rewards={**trail.rewards, 1: (CAROL, bond + 1)}))
    assert "unbalanced" in kinds(round_, replace(trail, rewards={0: (CAROL, bond)}))


def test_the_audit_says_which_challenges_stand():
    assert audit(challenged(0), Trail()).standing == (0,)
    assert audit(challenged(0, refuted=True), Trail()).standing == ()


# --- the rest ---


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
