"""Self-challenge with sybils.

Mallory runs a round, does not like its prices, settles it wrongly on purpose and challenges herself under several
accounts, which also sit in the round as participants, so that as much as can be of her bond comes back. Half of it is
burnt whatever she does; of the rest, a quarter goes to who challenged and a quarter to who revealed.
(docs/protocol.md §7, Void with fault)
"""

from market_node.judge import proof
from tests.attacks.play import Story, overcharged, plain_round, tell
from tests.evm import AUDITOR, OPERATOR, PHASE, Evm, account

CASES = ((0, 1, 0), (0, 1, 1), (1, 1, 0), (3, 0, 0), (3, 0, 2), (3, 0, 4))
"""How many of the challengers are hers and how many are not, and how many of the four that revealed are hers."""


def play(sybils: int, others: int, seats: int) -> float:
    """The share of her bond that she loses."""
    evm = Evm(4 + sybils)
    everybody = [OPERATOR, AUDITOR, *map(account, range(4 + sybils))]
    hers = [OPERATOR, *map(account, range(seats)), *map(account, range(4, 4 + sybils))]
    before = {who: evm.available(who) for who in everybody}
    round_ = evm.play(plain_round(4))
    round_ = evm.settle(round_, overcharged(round_))
    true = proof(round_, 0)
    for who in [*map(account, range(4, 4 + sybils)), *[AUDITOR] * others]:
        evm.challenge(who, round_.number, true)
    evm.warp(2 * PHASE)
    evm.refund(round_, *range(sybils + others))

    bond = round_.terms.bond
    gains = {who: evm.available(who) - before[who] for who in everybody}
    reward, share = bond // 4 // (sybils + others), bond // 4 // 4
    assert sum(gains[who] for who in hers) == -(bond - sybils * reward - seats * share)
    assert all(gains[account(index)] == share for index in range(seats, 4))
    assert gains[AUDITOR] == others * reward
    assert evm.pot(round_.number) == 0
    loss = -sum(gains[who] for who in hers)
    assert loss >= bond // 2
    return loss / bond


def attack() -> Story:
    losses = {case: play(*case) for case in CASES}
    lines = [f"{'challengers: hers':>18} {'others':>7} {'of 4 that revealed, hers':>26} {'bond lost':>10}"]
    lines += [f"{a:>18} {b:>7} {c:>26} {loss:>10.1%}" for (a, b, c), loss in losses.items()]
    return Story(
        "the round is void and everybody else gains; nothing that she does brings back more than half of the bond",
        f"{losses[0, 1, 0]:.0%} of the bond where an honest auditor was alone, {losses[3, 0, 0]:.1%} where all "
        f"challengers are hers, {losses[3, 0, 4]:.1%} where the whole round is",
        "\n".join(lines),
    )


def test_half_of_the_bond_is_lost_whoever_challenges():
    attack()


if __name__ == "__main__":
    tell(attack)
