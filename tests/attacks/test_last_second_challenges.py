"""False challenges in the last second, a hundred at once.

Mallory challenges a right settlement a hundred times in the last second of the challenge phase, each time with a list
that names no candidate at all, the cheapest there is. She hopes that nobody has the time to answer them all, so that
the round is void and her accounts get a quarter of the bond. However late a challenge comes, a refutation has
`refuteTime`, needs one comparison, and earns the challenger's bond. (docs/protocol.md §14, Theorem 2)
"""

from dataclasses import replace

from market_node.chain import Phase
from market_node.devnet import GAS_LIMIT
from market_node.judge import claim, proof, refutation
from market_node.records import Claim
from market_node.settlement import settle
from tests.attacks.play import Story, plain_round, tell
from tests.evm import AUDITOR, MALLORY, PHASE, Evm

COUNT = 100


def attack() -> Story:
    evm = Evm(3)
    round_ = evm.play(plain_round(3))
    round_ = evm.settle(round_, settle(round_, frozenset()))
    before = {who: evm.available(who) for who in (MALLORY, AUDITOR)}
    evm.warp(PHASE - 1)
    lie = replace(proof(round_, 0), listed=())
    gas = [evm.challenge(MALLORY, round_.number, lie) for _ in range(COUNT)]
    evm.warp(1)
    assert evm.phase(round_.number) == Phase.REFUTE

    evm.warp(PHASE - 1)  # the last second of this phase too
    answer = refutation(round_, Claim(0, (), 0))
    assert claim(round_, 0).listed == (1, 2)
    answers = [evm.refute(AUDITOR, round_.number, number, answer) for number in range(COUNT)]
    assert evm.phase(round_.number) == Phase.PAYOUT
    bond = round_.terms.bond // 32
    assert evm.available(MALLORY) - before[MALLORY] == -COUNT * bond
    assert evm.available(AUDITOR) - before[AUDITOR] == COUNT * bond
    evm.pay_out(round_)
    assert evm.pot(round_.number) == 0
    return Story(
        f"{COUNT} of {COUNT} refuted in one second for {answers[-1]:,} gas each, {sum(answers) / GAS_LIMIT:.2f} blocks "
        "in all; the payout follows at once",
        f"{COUNT} bonds, {COUNT * bond / round_.terms.bond:.3f} of the aggregator's, and {gas[-1]:,} gas each",
    )


def test_a_hundred_false_challenges_are_all_refuted_and_paid_for():
    attack()


if __name__ == "__main__":
    tell(attack)
