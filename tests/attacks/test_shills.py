"""Shills that fill the candidates at costs at which they are never chosen.

Mallory sells under one account and fills the buyer's candidates with others that bring much and whose samples are just
too dear to be taken. They push honest competitors out of the buyer's sight, and her own account's price rises to what
the first one left out allows. Places go by merit, √G − √c, so a shill must be almost cheap enough to be bought, and her
price rises by a part; were they given by surplus, G − c, it would rise several times. Nobody promises that it does not
work. (SECURITY.md, What a participant can do)
"""

from itertools import product
from random import Random
from statistics import mean

from market_node.mechanism import Offer, gain, row
from tests.attacks.play import Story, tell

VALUE, SAMPLES, LIMIT = 10**9, 100, 100
SELLERS, HONEST, MARKETS = 16, 24, 6
STEPS, PARTS = 24, (0.1, 0.25, 0.5, 0.75, 1)
"""Of a shill's costs, and of the samples that she is believed: what is tried."""

ACCOMPLICE, FIRST_SHILL = 0, 1000
FAMILIES = {"all that they are believed": 0.9, "a tenth of it to all": 0.1}
"""What honest sellers bring: at least this part of the newcomers' limit."""


def honest_sellers(rng: Random, least: float, count: int) -> list[Offer]:
    sizes = [rng.randint(int(LIMIT * least), LIMIT) for _ in range(count)]
    return [Offer(1 + i, int(gain(VALUE, SAMPLES, size) * rng.uniform(0, 0.3)), size) for i, size in enumerate(sizes)]


def price(offers: list[Offer]) -> int | None:
    """What the accomplice is paid; None if it is not chosen, or if a shill is, which costs its owner a model."""
    prices = {purchase.seller: purchase.price for purchase in row(VALUE, SAMPLES, offers, SELLERS)}
    return None if any(seller >= FIRST_SHILL for seller in prices) else prices.get(ACCOMPLICE)


def best_rise(honest: list[Offer], times: int, shills: int) -> float:
    """How many times the price without shills the accomplice gets with those that serve it best."""
    accomplice = Offer(ACCOMPLICE, 0, times * LIMIT)
    alone = price([accomplice, *honest])
    assert alone
    reached = [alone]
    for part, step in product(PARTS, range(STEPS)):
        size = int(times * LIMIT * part)
        cost = gain(VALUE, SAMPLES, size) * step // STEPS
        crowd = [Offer(FIRST_SHILL + i, cost, size) for i in range(shills)]
        reached += filter(None, [price([accomplice, *honest, *crowd])])
    return max(reached) / alone


def rise(least: float, times: int, shills: int, count: int = HONEST) -> float:
    rng = Random(f"{least} {count}")
    return mean(best_rise(honest_sellers(rng, least, count), times, shills) for _ in range(MARKETS))


def attack() -> Story:
    rises = {(name, k): rise(least, k, SELLERS) for name, least in FAMILIES.items() for k in (10, 2, 1)}
    free = SELLERS - 1 - HONEST // 4
    loose = rise(0.1, 10, free, HONEST // 4)
    assert loose == 1, "where nobody is pushed out nothing rises"
    alike, mixed = FAMILIES
    assert max(rises.values()) < 1.5
    assert rises[alike, 2] > 1.1 and rises[alike, 1] == 1
    assert rises[mixed, 2] > rises[mixed, 1] > 1.1
    lines = [f"{'honest sellers bring':>28} {'limit of hers, × theirs':>24} {'price, ×':>9}"]
    lines += [f"{name:>28} {k:>24} {value:>9.2f}" for (name, k), value in rises.items()]
    lines += [f"{'(cap does not bind)':>28} {10:>24} {loose:>9.2f}"]
    return Story(
        f"**it works a little**: × {rises[alike, 10]:.2f} at ten times the limit, × {rises[alike, 2]:.2f} at "
        f"twice, × {rises[alike, 1]:.2f} at the same; × {rises[mixed, 2]:.2f} and × {rises[mixed, 1]:.2f} at twice and "
        f"the same where honest sellers bring less than their limit; × {loose:.0f} where maxSellers does not bind",
        f"{SELLERS} more accounts: their places, fees and models that pass, and the rounds that earned their limit",
        "\n".join(lines),
    )


def test_shills_raise_a_price_where_they_push_others_out_of_sight():
    attack()


if __name__ == "__main__":
    tell(attack)
