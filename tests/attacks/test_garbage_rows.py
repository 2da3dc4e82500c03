"""Garbage rows that nobody challenges.

The aggregator posts nonsense: rows for accounts that did not reveal or are excluded, sellers that do not exist,
prices of 2**96 - 1, a seller named many times, a buyer that buys from itself. It hopes to lock the round, to pay out
more than the pot holds, or to touch others' money. A row counts as empty where its buyer does not trade, names nobody
or cannot pay; all else moves only its own buyer's deposit. (docs/protocol.md §7)
"""

from dataclasses import replace
from random import Random

from market_node.records import Purchase, Settlement
from market_node.settlement import counted_rows, payout, settle
from tests.attacks.play import Story, plain_round, tell
from tests.evm import FORTUNE, OPERATOR, PHASE, Evm, account
from tests.unit.rounds import random_round, spoilt

N, MOST, ROUNDS = 6, (1 << 96) - 1, 60


def by_hand() -> int:
    """One round with every kind of nonsense. Returns how much of it counts."""
    evm = Evm(N)
    plain = plain_round(N, max_sellers=4)
    silent = replace(plain.participants[5], reveal=None)
    round_ = evm.play(replace(plain, participants=(*plain.participants[:5], silent), reveal_order=(0, 1, 2, 3, 4)))
    terms, true = round_.terms, settle(round_, frozenset({4}))
    room = round_.participants[0].deposit - terms.fee - terms.reveal_bond
    rows = (
        (Purchase(1, MOST), Purchase(1, MOST)),  # more than there is
        (Purchase(N, 1),),  # nobody
        (Purchase(2, room),),  # all that it has, to itself
        (Purchase(0, 7), Purchase(0, 7), Purchase(0, 7), Purchase(5, 7)),  # one four times, one that did not reveal
        (Purchase(0, room),),  # excluded
        (Purchase(0, room),),  # did not reveal
    )
    garbage = Settlement(frozenset({4}), rows)
    before = [evm.available(account(index)) for index in range(N)]
    bank = evm.available(OPERATOR)
    round_ = evm.settle(round_, garbage)
    evm.warp(PHASE)
    evm.pay_out(round_)
    due = payout(round_, garbage)
    assert [evm.available(account(index)) - was for index, was in enumerate(before)] == list(due.credits)
    assert evm.available(OPERATOR) - bank == due.aggregator
    assert evm.pot(round_.number) == 0
    counted = counted_rows(round_, garbage)
    assert [len(row) for row in counted] == [0, 0, 1, 4, 0, 0]
    # Beside the 28 units of the fourth buyer nothing moves: everyone has what empty rows would give.
    empty = payout(round_, replace(true, rows=((),) * N))
    assert [a - b for a, b in zip(due.credits, empty.credits, strict=True)] == [21, 0, 0, -28, 0, 7]
    return sum(len(row) for row in counted)


def at_random() -> int:
    """Rounds whose rows are wrong in every way at once. Returns how many rows were posted."""
    rng, posted = Random(7), 0
    evm = Evm(9)
    for _ in range(ROUNDS):
        while 16 * (drawn := random_round(rng, fresh=True)).terms.bond > FORTUNE:
            pass
        round_ = evm.play(drawn)
        garbage = spoilt(rng, round_, settle(round_, frozenset()))
        n = len(round_.participants)
        before = [evm.available(account(index)) for index in range(n)]
        round_ = evm.settle(round_, garbage)
        evm.warp(PHASE)
        evm.pay_out(round_)
        round_ = replace(
            round_, participants=tuple(replace(each, rating=None, rejected=False) for each in round_.participants)
        )
        due = payout(round_, garbage)
        gained = [evm.available(account(index)) - was for index, was in enumerate(before)]
        assert gained == list(due.credits)
        assert evm.pot(round_.number) == 0
        kept = round_.terms.fee + round_.terms.reveal_bond
        for index, participant in enumerate(round_.participants):
            # Whatever was posted, nobody is left with less than what its own bid put at stake.
            assert gained[index] >= min(kept - round_.terms.fee, participant.deposit - round_.terms.reveal_bond)
        posted += n
    return posted


def attack() -> Story:
    counted, posted = by_hand(), at_random()
    return Story(
        f"of the nonsense posted by hand {counted} purchases count, of their own buyers' deposits; {posted} random rows"
        f" in {ROUNDS} rounds are paid as computed, every pot ends at 0",
        "one challenge would have cost the aggregator its bond; unchallenged, gas only",
    )


def test_garbage_moves_only_its_own_buyers_money_and_locks_nothing():
    attack()


if __name__ == "__main__":
    tell(attack)
