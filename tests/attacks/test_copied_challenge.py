"""A challenge that others copy.

The aggregator has overcharged Alice; Victor finds it and challenges. Mallory, who has not looked at anything, sends
Victor's bytes again under her own account, several times, to share the reward (or, if she is the aggregator, to get
some of her bond back). She may: a challenge is public. The reward is shared equally, and an auditor must not live on
it. (SECURITY.md, Payments)
"""

from market_node.judge import proof
from tests.attacks.play import Story, overcharged, plain_round, tell
from tests.evm import AUDITOR, MALLORY, PHASE, Evm, account

COPIES = 9


def attack() -> Story:
    evm = Evm(2)
    round_ = evm.play(plain_round(2))
    round_ = evm.settle(round_, overcharged(round_))
    everybody = {who: evm.available(who) for who in (AUDITOR, MALLORY, account(0), account(1))}
    true = proof(round_, 0)
    gas = evm.challenge(AUDITOR, round_.number, true)
    for _ in range(COPIES):
        evm.challenge(MALLORY, round_.number, true)
    evm.warp(2 * PHASE)
    evm.refund(round_, *range(COPIES + 1))

    terms = round_.terms
    share = terms.bond // 4 // (COPIES + 1)
    gains = [evm.available(who) - before for who, before in everybody.items()]
    victim = round_.participants[0].deposit + terms.bond // 4 // 2
    assert gains == [share, COPIES * share, victim, victim]
    assert evm.pot(round_.number) == 0
    return Story(
        f"the theft fails all the same; with {COPIES} copies the auditor's reward falls from {terms.bond // 4:,} to "
        f"{share:,} units",
        f"bond / 32 locked and {gas:,} gas per copy; the copies earn",
    )


def test_copies_dilute_the_reward_and_nothing_else():
    attack()


if __name__ == "__main__":
    tell(attack)
