"""What the best choice for one buyer would bring: exactly for few sellers, and a bound for any number."""

from collections.abc import Collection, Sequence
from math import ceil, sqrt

from ..mechanism import Offer, gain, surplus

ROUNDING = 2.0**-40
"""Of a buyer's value: more than float64 gets wrong in `bound`, for up to a thousand sellers."""


def welfare(value: int, samples: int, chosen: Collection[Offer]) -> int:
    """What a buyer gains by these sellers, less their costs, base units."""
    return gain(value, samples, sum(offer.size for offer in chosen)) - sum(offer.cost for offer in chosen)


def greatest(value: int, samples: int, offers: Sequence[Offer], max_sellers: int) -> list[Offer]:
    """The set of at most `max_sellers` offers of greatest welfare, of equals the first found: every set is tried.

    Those that are not worth their cost alone are in no such set, since they add less to others; for 20 that are, it
    takes seconds.
    """
    worth = [offer for offer in offers if surplus(value, samples, offer) >= 0]
    best, best_welfare = 0, 0
    sizes, costs = [0], [0]
    for offer in worth:  # the sets with it follow those without it: bit k of a set's place is the k-th seller
        sizes += [size + offer.size for size in sizes]
        costs += [cost + offer.cost for cost in costs]
    for place, (size, cost) in enumerate(zip(sizes, costs, strict=True)):
        if place.bit_count() <= max_sellers and (reached := gain(value, samples, size) - cost) > best_welfare:
            best, best_welfare = place, reached
    return [offer for place, offer in enumerate(worth) if best >> place & 1]


def bound(value: int, samples: int, offers: Sequence[Offer]) -> int:
    """At least the welfare of every set of the offers, of any number.

    Sellers that could be bought in parts would be taken cheapest sample first, until one more sample is worth less
    than it costs: G′(X) = v / 2N · (1 + X / N)^(−3/2), so that stops at X = N · ((v / 2Nd)^(2/3) − 1) where samples
    cost d. In float64; rounded up by `ROUNDING` of the value and by two units, which is what `gain` rounds by.
    """
    v, n = float(value), float(samples)
    imported, paid = 0.0, 0.0
    for offer in sorted(offers, key=lambda each: each.cost / each.size):
        density = offer.cost / offer.size
        worth = n * ((v / (2 * n * density)) ** (2 / 3) - 1) if density else float("inf")
        taken = min(float(offer.size), worth - imported)
        if taken <= 0:
            break
        imported += taken
        paid += taken * density
    share = imported / (n + imported) / (1 + sqrt(n / (n + imported)))
    return max(0, ceil(v * share - paid + v * ROUNDING)) + 2
