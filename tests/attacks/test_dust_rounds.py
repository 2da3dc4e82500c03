"""Rounds about dust that keep auditors busy.

Mallory opens rounds of her own in which base units of a token that nobody would pick up are at stake, and challenges
their right settlements falsely, or settles them wrongly. An auditor that looks after every round answers each; its
reward is a part of the bond, dust too, and its gas is real. She hopes that auditors run dry, or give up, before a
round that matters. The bond of a round says what it protects and earns: `market-node auditor run --least-bond` leaves
smaller ones alone. (SECURITY.md, Payments: auditing must not depend on the reward)
"""

from dataclasses import replace

from market_node.judge import proof, refutation
from market_node.records import LEAST_VALUE, Claim, Round
from market_node.settlement import settle
from tests.attacks.play import BID, Story, overcharged, plain_round, tell
from tests.evm import AUDITOR, MALLORY, PHASE, Evm

REVEAL_BOND = LEAST_VALUE // 14
"""About the least with which a value can be bid at all."""


def play(evm: Evm) -> Round:
    """A round of two about the least value that there is."""
    plain = plain_round(
        2, replace(BID, value=LEAST_VALUE, cost=0), reveal_bond=REVEAL_BOND, bond=16 * REVEAL_BOND, fee=0
    )
    seats = tuple(replace(each, deposit=16 * REVEAL_BOND) for each in plain.participants)
    return evm.play(replace(plain, participants=seats))


def attack() -> Story:
    evm = Evm(2)
    before = evm.available(AUDITOR)
    round_ = play(evm)
    round_ = evm.settle(round_, settle(round_, frozenset()))
    lie = evm.challenge(MALLORY, round_.number, replace(proof(round_, 0), listed=()))
    answer = evm.refute(AUDITOR, round_.number, 0, refutation(round_, Claim(0, (), 0)))
    earned = evm.available(AUDITOR) - before
    assert earned == round_.terms.bond // 32

    round_ = play(evm)
    round_ = evm.settle(round_, overcharged(round_))
    strike = evm.challenge(AUDITOR, round_.number, proof(round_, 0))
    evm.warp(2 * PHASE)
    evm.refund(round_, 0)
    struck = evm.available(AUDITOR) - before - earned
    assert struck == round_.terms.bond // 4
    assert earned < struck < 10**6
    return Story(
        f"**it works** on an auditor without `--least-bond`: a refutation earns {earned:,} base units and a challenge "
        f"{struck:,}, with 18 decimals {struck / 10**18:.0e} of a token, whatever their gas costs",
        f"{lie:,} gas for a false challenge, against {answer:,} for its refutation; a round of her own and its bond, "
        f"{round_.terms.bond:,} base units, against {strike:,} for a challenge",
    )


def test_a_bond_of_dust_pays_no_gas():
    attack()


if __name__ == "__main__":
    tell(attack)
