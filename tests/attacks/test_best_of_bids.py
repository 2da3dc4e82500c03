"""Several sealed bids of which the best is revealed.

Mallory enters under several accounts, each with another sealed value for the same model, waits until all others have
revealed, computes the round for each of her bids and reveals the one that leaves her most. The others' reveal bonds
are lost: that is the price of the option. A deposit covers its value and is at most 16 reveal bonds, so that each
unused bid costs at least a fifteenth of the highest value that the round allows. (SECURITY.md, What a participant can
do)
"""

from random import Random
from statistics import mean

from market_node.mechanism import Offer, gain, row
from tests.attacks.play import Story, tell

VALUE, SAMPLES, SELLERS, MARKETS = 15 * 10**8, 100, 8, 300
BIDS = (1.0, 0.5, 0.25, 0.7, 0.12, 0.85, 0.35, 0.06)
"""Parts of her true value that she seals, in the order in which she adds them."""


def market(rng: Random) -> list[Offer]:
    sizes = [rng.randint(20, 100) for _ in range(rng.randint(3, 12))]
    scale = rng.choice([0.1, 0.3, 0.6, 1.0])
    return [Offer(i, int(gain(VALUE, SAMPLES, size) * rng.uniform(0, scale)), size) for i, size in enumerate(sizes)]


def profit(offers: list[Offer], part: float) -> int:
    """What a bid of `part` of the true value leaves her: her true gain, less what she pays."""
    bought = row(int(VALUE * part), SAMPLES, offers, SELLERS)
    imported = sum(offers[purchase.seller].size for purchase in bought)
    return gain(VALUE, SAMPLES, imported) - sum(purchase.price for purchase in bought)


def attack() -> Story:
    rng = Random(3)
    markets = [market(rng) for _ in range(MARKETS)]
    profits = {part: [profit(offers, part) for offers in markets] for part in BIDS}
    bond = VALUE // 15  # the least with which a round lets this value in
    lines = [f"{'sealed bids':>12} {'gain over one true bid':>23} {'reveal bonds lost':>18} {'net':>8}   of the value"]
    nets = {}
    for k in (1, 2, 4, 8):
        best = [max(profits[part][i] for part in BIDS[:k]) for i in range(MARKETS)]
        extra = mean(b - true for b, true in zip(best, profits[1.0], strict=True))
        nets[k] = (extra - (k - 1) * bond) / VALUE
        lines.append(f"{k:>12} {extra / VALUE:>23.1%} {(k - 1) * bond / VALUE:>18.1%} {nets[k]:>8.1%}")
    shaded = max(mean(values) for values in profits.values()) - mean(profits[1.0])
    assert nets[1] == 0
    assert all(nets[k] < 0 for k in (2, 4, 8))
    assert shaded > 0, "shading alone, without any option, pays, and nothing can stop that"
    return Story(
        f"with the least reveal bond it loses: {nets[2]:.1%} of the value on average with two bids, {nets[8]:.1%} with "
        f"eight; one shaded bid, which needs no option, gains {shaded / VALUE:.1%}",
        f"a reveal bond, at least {bond / VALUE:.1%} of the value, per bid that is not used; a round whose "
        "deposits are far above her value asks more",
        "\n".join(lines),
    )


def test_the_option_costs_more_than_it_brings():
    attack()


if __name__ == "__main__":
    tell(attack)
