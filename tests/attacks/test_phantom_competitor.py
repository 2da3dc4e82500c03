"""A phantom competitor that presses others' prices.

Mallory buys. Under a second account she also sells, to herself, a model much like her own at a low cost: it takes a
place in her own choice, others' critical prices fall, and what her phantom is paid stays hers. It brings her nothing
that she can use, so that she imports less than her row says. She does worse than by simply bidding half of her value,
which nothing can stop and which costs no second account. (SECURITY.md, What a participant can do: bid less than its
value)
"""

from random import Random
from statistics import mean

from market_node.mechanism import Offer, gain, row
from tests.attacks.play import Story, tell

VALUE, SAMPLES, SELLERS, MARKETS, PHANTOM = 15 * 10**8, 100, 8, 150, 900
SIZES, COSTS = (20, 50, 100), (0.0, 0.1, 0.2, 0.3, 0.5, 0.7)
SHADES = (0.35, 0.5, 0.7)


def market(rng: Random) -> list[Offer]:
    sizes = [rng.randint(20, 100) for _ in range(rng.randint(3, 12))]
    scale = rng.choice([0.1, 0.3, 0.6, 1.0])
    return [Offer(i, int(gain(VALUE, SAMPLES, size) * rng.uniform(0, scale)), size) for i, size in enumerate(sizes)]


def profit(offers: list[Offer], phantoms: list[Offer], part: float = 1.0) -> int:
    """Her true gain from what she can use, less what she pays to others."""
    bought = row(int(VALUE * part), SAMPLES, offers + phantoms, SELLERS)
    useful = [purchase for purchase in bought if purchase.seller < PHANTOM]
    imported = sum(offers[purchase.seller].size for purchase in useful)
    return gain(VALUE, SAMPLES, imported) - sum(purchase.price for purchase in useful)


def attack() -> Story:
    rng = Random(3)
    markets = [market(rng) for _ in range(MARKETS)]
    honest = mean(profit(offers, []) for offers in markets)
    gains = {}
    for size in SIZES:
        for cost in COSTS:
            phantom = [Offer(PHANTOM, int(gain(VALUE, SAMPLES, size) * cost), size)]
            gains[size, cost] = (mean(profit(offers, phantom) for offers in markets) - honest) / VALUE
    shaded = max((mean(profit(offers, [], part) for offers in markets) - honest) / VALUE for part in SHADES)
    best = max(gains.values())
    assert 0 < best < shaded
    lines = ["gain, of the value, by the phantom's size (samples) and its cost (of what it brings alone)"]
    lines += ["".join([f"{'':>8}", *(f"{cost:>8.0%}" for cost in COSTS)])]
    lines += ["".join([f"{size:>8}", *(f"{gains[size, cost]:>8.1%}" for cost in COSTS)]) for size in SIZES]
    return Story(
        f"**it works**, but a bid below the value works better: {best:.1%} of the value at most, against {shaded:.1%}",
        "a second account that passes as a seller: its fee, its model, its limit",
        "\n".join(lines),
    )


def test_a_phantom_gains_less_than_a_lower_bid():
    attack()


if __name__ == "__main__":
    tell(attack)
