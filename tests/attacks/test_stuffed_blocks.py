"""Blocks filled so that others come too late.

Mallory buys all the gas of every block of a phase. In the reveal phase nobody else can reveal then, and the only one
that revealed gets all lost reveal bonds; in the challenge phase nobody can challenge what she settled; in the refute
phase nobody can refute. No contract can tell silence from being kept silent: the phases must be longer than anybody
would pay for. (SECURITY.md, Payments; `minPhase` is 60 s by default, a market's choice)
"""

from dataclasses import replace

from market_node.chain import Phase
from market_node.deploy import MIN_PHASE
from market_node.devnet import GAS_LIMIT
from tests.attacks.play import Story, plain_round, tell
from tests.evm import Evm, account

N = 20
BLOCK_SECONDS = 12


def attack() -> Story:
    evm = Evm(N)
    plain = plain_round(N, max_participants=N)
    silenced = tuple(replace(each, reveal=None) for each in plain.participants[1:])
    before = [evm.available(account(index)) for index in range(N)]
    round_ = evm.play(replace(plain, participants=(plain.participants[0], *silenced), reveal_order=(0,)))
    assert evm.phase(round_.number) == Phase.VOID
    evm.refund(round_)
    gains = [evm.available(account(index)) - was for index, was in enumerate(before)]
    bond = round_.terms.reveal_bond
    assert gains == [(N - 1) * bond] + (N - 1) * [-bond]
    assert evm.pot(round_.number) == 0
    day, shortest = (GAS_LIMIT * seconds // BLOCK_SECONDS for seconds in (24 * 3600, MIN_PHASE))
    return Story(
        f"whoever alone could reveal wins {N - 1} reveal bonds of {N}; the same price buys a wrong settlement that "
        "nobody could challenge",
        f"the gas of a phase: {shortest / 1e6:,.0f}M for {MIN_PHASE} s, {day / 1e9:,.0f}G for a day, at a base fee "
        "that grows by an eighth with every full block",
    )


def test_the_only_one_that_could_reveal_gets_the_others_reveal_bonds():
    attack()


if __name__ == "__main__":
    tell(attack)
