"""Bad ratings for a competitor.

Mallory enters as several buyers of the least value there is, buys Alice's model with each and rates it 0. She hopes
that Alice, who has earned her reputation in many rounds, is believed less in the next. It works, as far as Mallory's
buyers are many among Alice's: ratings count by purchase, whatever it was worth. Each of hers costs a fee and a price
that is never below Alice's cost. (docs/protocol.md §8 has the rule; that it can be used against others is said here)
"""

from dataclasses import replace

from market_node.records import LEAST_VALUE, ONE, Bid
from market_node.settlement import settle
from tests.attacks.play import DEPOSIT, Story, plain_round, tell
from tests.evm import PHASE, Evm, account

HONEST, ROUNDS = 3, 5
ALICE = 0
SELLER = Bid(value=0, cost=1_000, samples=100, min_reputation=0)
BUYER = Bid(value=4 * LEAST_VALUE, cost=(1 << 96) - 1, samples=100, min_reputation=0)


def play(evm: Evm, ratings: list[int]) -> list[int]:
    """A round in which Alice sells to everybody else. Returns what each of them has paid, its fee included."""
    plain = plain_round(1 + len(ratings), max_participants=32)
    seats = [replace(plain.participants[0], reveal=replace(plain.participants[0].reveal, bid=SELLER))]
    for rating in ratings:
        bid = replace(BUYER, value=LEAST_VALUE) if rating == 0 else BUYER
        seats.append(replace(plain.participants[0], reveal=replace(plain.participants[0].reveal, bid=bid)))
    before = [evm.available(account(index)) for index in range(len(seats))]
    round_ = evm.play(replace(plain, participants=tuple(seats)))
    round_ = evm.settle(round_, settle(round_, frozenset()))
    for index, rating in enumerate(ratings):
        assert round_.settlement.rows[index + 1], "everybody buys from Alice"
        evm.rate(round_, index + 1, rating)
    evm.warp(PHASE)
    evm.pay_out(round_)
    assert before[1] - evm.available(account(1)) < DEPOSIT
    return [was - evm.available(account(index)) for index, was in enumerate(before)][1:]


def attack() -> Story:
    falls = {}
    for sybils in (0, 1, 3, 9):
        evm = Evm(1 + HONEST + sybils)
        for _ in range(ROUNDS):
            play(evm, [100] * HONEST)
        earned = evm.reputation(account(ALICE))
        paid = play(evm, [100] * HONEST + [0] * sybils)
        falls[sybils] = evm.reputation(account(ALICE)) / earned
        if sybils:
            price = paid[-1]
            assert price >= SELLER.cost + 1_000  # her cost and the fee
    # (50k + Σ) / 100k: three of three satisfied give × 1.5; with as many against, × 1.
    assert round(falls[0], 3) == 1.5
    assert round(falls[3], 3) == 1.0
    assert falls[9] < 1 < falls[1]
    assert earned < ONE
    lines = [f"{'buyers of hers':>15} {'reputation after the round, ×':>31}"]
    lines += [f"{sybils:>15} {fall:>31.3f}" for sybils, fall in falls.items()]
    return Story(
        f"**it works** by numbers: beside {HONEST} satisfied buyers, as many of hers take Alice's round "
        f"from × {falls[0]:.2f} to × {falls[3]:.2f}, three times as many to × {falls[9]:.2f}; never below half a round",
        f"a place, the fee and at least Alice's cost per rating: here {price:,} units",
        "\n".join(lines),
    )


def test_a_bad_rating_costs_a_purchase():
    attack()


if __name__ == "__main__":
    tell(attack)
