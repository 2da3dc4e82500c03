"""Accounts that live on others' lost reveal bonds.

Who does not reveal loses its reveal bond to those who did, in equal parts. Mallory enters with accounts that neither
buy nor are bought from, only to be counted: each takes a part that honest participants would have had. It pays as
soon as the expected part of a lost bond exceeds the fee; an aggregator that opens the models excludes those without
one, and then each costs a reveal bond. (docs/protocol.md §7, Payout)
"""

from dataclasses import replace

from market_node.records import NOT_SELLING, Bid
from market_node.settlement import settle
from tests.attacks.play import Story, plain_round, tell
from tests.evm import PHASE, Evm, account

HONEST, SILENT, SYBILS = 4, 2, 6


def play(sybils: int, excluded: bool = False) -> list[int]:
    """What everybody gains: the honest, the silent, hers."""
    n = HONEST + SILENT + sybils
    evm = Evm(n)
    plain = plain_round(n, max_participants=16)
    one, nothing = plain.participants[0], Bid(value=0, cost=NOT_SELLING, samples=1, min_reputation=0)
    hers = replace(one, reveal=replace(one.reveal, bid=nothing))
    seats = (*[one] * HONEST, *[replace(one, reveal=None)] * SILENT, *[hers] * sybils)
    order = tuple(index for index, seat in enumerate(seats) if seat.reveal)
    before = [evm.available(account(index)) for index in range(n)]
    round_ = evm.play(replace(plain, participants=seats, reveal_order=order))
    out = frozenset(range(HONEST + SILENT, n)) if excluded else frozenset()
    round_ = evm.settle(round_, settle(round_, out))
    evm.warp(PHASE)
    evm.pay_out(round_)
    assert evm.pot(round_.number) == 0
    return [evm.available(account(index)) - was for index, was in enumerate(before)]


def attack() -> Story:
    terms = plain_round(2).terms
    lost = SILENT * terms.reveal_bond
    alone, shared, checked = play(0), play(SYBILS), play(SYBILS, excluded=True)
    part = lost // (HONEST + SYBILS)
    # The honest ones trade with each other at the same prices in all three.
    assert {before - now for before, now in zip(alone[:HONEST], shared, strict=False)} == {lost // HONEST - part}
    assert shared[-SYBILS:] == [part - terms.fee] * SYBILS
    assert checked[-SYBILS:] == [part - terms.reveal_bond] * SYBILS
    assert alone[HONEST : HONEST + SILENT] == [-terms.reveal_bond] * SILENT
    return Story(
        f"**it works**: where {SILENT} of {HONEST + SILENT} did not reveal, {SYBILS} idle accounts take "
        f"{SYBILS * part / lost:.0%} of their bonds, {part - terms.fee:,} units each",
        f"the fee ({terms.fee:,}) for each; if it has no model to show, it loses {-checked[-1]:,} units",
    )


def test_idle_accounts_share_what_others_lost():
    attack()


if __name__ == "__main__":
    tell(attack)
