"""Reputation minted in rounds of one's own.

Mallory opens rounds as an aggregator, fills them with her own accounts and has them rate each other 100. She hopes
that other aggregators' rounds then believe her claims. Reputation is kept per aggregator: elsewhere she is a newcomer
still. In an honest aggregator's rounds she can have her own buyers rate her own seller, which takes rounds, and fees
that somebody else gets. (docs/protocol.md §8)
"""

from dataclasses import replace

from market_node.contracts import Contract
from market_node.records import LEAST_REPUTATION, LEAST_VALUE, ONE, Bid
from market_node.settlement import settle
from tests.attacks.play import Story, plain_round, tell
from tests.evm import AUDITOR, OPERATOR, PHASE, Evm, account

BUYERS = 3
"""From three on, ratings count in full."""

SELLER = Bid(value=0, cost=0, samples=100, min_reputation=0)
BUYER = Bid(value=LEAST_VALUE, cost=(1 << 96) - 1, samples=100, min_reputation=0)


def play(evm: Evm) -> int:
    """One round of hers. Returns the fees that its aggregator got."""
    plain = plain_round(1 + BUYERS)
    seats = [
        replace(plain.participants[0], reveal=replace(plain.participants[0].reveal, bid=bid))
        for bid in (SELLER, *[BUYER] * BUYERS)
    ]
    before, bank = sum(evm.available(account(i)) for i in range(1 + BUYERS)), evm.available(OPERATOR)
    round_ = evm.play(replace(plain, participants=tuple(seats)))
    round_ = evm.settle(round_, settle(round_, frozenset()))
    for buyer in range(1, 1 + BUYERS):
        assert round_.settlement.rows[buyer]
        evm.rate(round_, buyer, 100)
    evm.warp(PHASE)
    evm.pay_out(round_)
    fees = evm.available(OPERATOR) - bank
    # Prices move between her own accounts: the fees are all that she loses.
    assert before - sum(evm.available(account(i)) for i in range(1 + BUYERS)) == fees == (1 + BUYERS) * 1_000
    return fees


def attack() -> Story:
    evm = Evm(1 + BUYERS)
    seller = account(0)
    reputations = Contract("Reputation", evm.read(Contract("Market", evm.market)("reputation")))
    fees, rounds, path = 0, 0, [evm.reputation(seller)]
    while path[-1] < ONE:
        fees += play(evm)
        rounds += 1
        path.append(evm.reputation(seller))
        assert path[-1] <= path[-2] * 3 // 2
    # With its own aggregator it is believed in full, and with every other one as on the first day.
    assert evm.read(reputations("reputationOf", OPERATOR, seller)) == ONE
    assert evm.read(reputations("reputationOf", AUDITOR, seller)) == LEAST_REPUTATION
    return Story(
        f"a reputation of 1 with that aggregator after {rounds} rounds, 1/{ONE // LEAST_REPUTATION} with every other",
        f"in rounds of her own, gas; in another's {rounds} rounds and {fees // 1_000} fees ({fees:,} units here) for "
        f"× {ONE // LEAST_REPUTATION} of what she is believed, by {1 + BUYERS} accounts",
    )


def test_what_is_minted_at_home_is_worth_nothing_elsewhere():
    attack()


if __name__ == "__main__":
    tell(attack)
