"""Aggregator silent, challenger silent, everybody silent.

Three ways to hope that others' silence pays. An aggregator that never settles hopes to keep the money locked. An
aggregator that settles wrongly hopes that nobody looks. A challenger of a right settlement hopes that nobody refutes
it. None of them locks a unit: after the last deadline anybody frees everything with calls that anyone may make. But
payments *do* need one honest auditor, and one honest refuter. (SECURITY.md, Payments)
"""

import pytest

from market_node.chain import Phase
from market_node.errors import Reverted
from market_node.judge import proof
from market_node.settlement import payout, refunds, settle
from tests.attacks.play import DEPOSIT, Story, overcharged, plain_round, tell
from tests.evm import AUDITOR, MALLORY, OPERATOR, PHASE, Evm, account

N = 4


def start() -> tuple[Evm, object, dict[str, int]]:
    """A round whose reveals have closed, and what everybody had before its last steps."""
    evm = Evm(N)
    round_ = evm.play(plain_round(N))
    return evm, round_, {who: evm.available(who) for who in (OPERATOR, AUDITOR, MALLORY, *map(account, range(N)))}


def gained(evm: Evm, before: dict[str, int]) -> list[int]:
    return [evm.available(who) - was for who, was in before.items()]


def aggregator_is_silent() -> float:
    """The share of the bond that it loses."""
    evm, round_, before = start()
    evm.warp(PHASE)
    evm.warp(30 * 24 * 3600)  # nobody does anything for a month
    assert evm.phase(round_.number) == Phase.VOID
    evm.refund(round_)
    due = refunds(round_, with_fault=True)
    assert gained(evm, before) == [0, 0, 0, *due.credits]
    assert min(due.credits) > round_.participants[0].deposit
    assert evm.pot(round_.number) == 0
    return 1 - due.aggregator / round_.terms.bond


def challenger_is_silent() -> tuple[int, int]:
    """What a wrong settlement that nobody challenges moves, and the bond that one challenge would have cost."""
    evm, round_, before = start()
    terms = round_.terms
    true = settle(round_, frozenset())
    # All that the first one's deposit can pay goes to the last one, the aggregator's friend.
    room = round_.participants[0].deposit - terms.fee - terms.reveal_bond
    price = sum(purchase.price for purchase in true.rows[0])
    stolen = overcharged(round_, 0, room - price)
    round_ = evm.settle(round_, stolen)
    evm.warp(PHASE)
    assert evm.phase(round_.number) == Phase.PAYOUT
    evm.pay_out(round_)
    due = payout(round_, stolen)
    assert gained(evm, before) == [due.aggregator, 0, 0, *due.credits]
    honest = payout(round_, true)
    harmed = [index for index in range(N) if due.credits[index] < honest.credits[index]]
    assert harmed == [0], "nobody's money but the buyer's moves"
    assert due.credits[0] == terms.reveal_bond + sum(p.price for row in true.rows for p in row if p.seller == 0)
    assert evm.pot(round_.number) == 0
    return room - price, terms.bond


def everybody_is_silent() -> float:
    """The share of a right settlement's bond that a false challenger gets if nobody refutes it."""
    evm, round_, before = start()
    round_ = evm.settle(round_, settle(round_, frozenset()))
    lie = proof(round_, 0)
    evm.challenge(MALLORY, round_.number, type(lie)(lie.buyer, lie.row_hashes, lie.excluded, ()))
    evm.warp(PHASE)
    assert evm.phase(round_.number) == Phase.REFUTE
    with pytest.raises(Reverted, match="WrongPhase"):
        evm.pay_out(round_)
    evm.warp(PHASE)
    assert evm.phase(round_.number) == Phase.VOID
    evm.warp(30 * 24 * 3600)
    evm.refund(round_, 0)
    due = refunds(round_, with_fault=True, challengers=[MALLORY])
    assert gained(evm, before) == [0, 0, due.challenger, *due.credits]
    assert evm.pot(round_.number) == 0
    return due.challenger / round_.terms.bond


def chance_that_pays(loot: int, stake: int) -> float:
    """How likely silence must be for a theft to pay: p * loot = (1 - p) * stake."""
    return stake / (stake + loot)


def attack() -> Story:
    lost = aggregator_is_silent()
    stolen, bond = challenger_is_silent()
    won = everybody_is_silent()
    # The least bond against all that the largest round can hold: every deposit less fee and reveal bond.
    largest = plain_round(2, max_participants=1024, max_sellers=8)
    room = DEPOSIT - largest.terms.fee - largest.terms.reveal_bond
    thief = chance_that_pays(1024 * room, bond)
    liar = chance_that_pays(bond // 4, bond // 32)
    return Story(
        f"no unit stays locked. Aggregator silent: void. Challengers silent: {stolen:,} units of one buyer go to a "
        f"seller. Refuters silent: a right settlement is void and the false challenger gets {won:.0%} of the bond",
        f"the silent aggregator loses {lost:.0%} of its bond. A theft from 1,024 buyers under the least bond pays if "
        f"more than one in {1 / thief:,.0f} stays unchallenged, a false challenge if more than one in {1 / liar:.0f} "
        "stays unrefuted",
    )


def test_an_aggregator_that_never_settles_locks_nothing_and_loses_its_bond():
    assert aggregator_is_silent() == 1


def test_a_wrong_settlement_that_nobody_challenges_takes_from_its_buyer_alone():
    stolen, bond = challenger_is_silent()
    assert 0 < stolen < bond


def test_a_false_challenge_that_nobody_refutes_locks_nothing():
    assert everybody_is_silent() == 1 / 4


if __name__ == "__main__":
    tell(attack)
