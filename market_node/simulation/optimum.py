"""What the best choice for one buyer would bring: exactly for few sellers, and a bound for any number."""

from collections.abc import Collection, Sequence
from math import ceil, sqrt

import numpy as np

from ..mechanism import Offer, candidates, choose, gain, surplus

ROUNDING = 2.0**-40
"""Of a buyer's value: more than float64 gets wrong in a bound, for up to a thousand sellers."""

SEARCHED = 40
"""Steps of the search for the lowest bound; any number of them gives a bound."""


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


def exchanged(value: int, samples: int, offers: Sequence[Offer], max_sellers: int) -> list[Offer]:
    """A good set where there are too many to try: ours, bettered by one seller more, less or another as long as that
    brings more. The greatest welfare is between its and the bound. Changes are looked for in float64."""
    worth = [offer for offer in offers if surplus(value, samples, offer) >= 0]
    # Nobody, at the end, stands for none that leaves and none that comes.
    sizes = np.array([float(offer.size) for offer in worth] + [0.0])
    costs = np.array([float(offer.cost) for offer in worth] + [0.0])
    ours = choose(value, samples, candidates(value, samples, worth, max_sellers)[0])
    chosen = [worth.index(offer) for offer in ours]
    nobody = len(worth)
    while True:
        leaving = np.array([nobody, *chosen])
        coming = np.setdiff1d(np.arange(nobody + 1), chosen)
        x = sizes[chosen].sum() - sizes[leaving][:, None] + sizes[coming]
        paid = costs[chosen].sum() - costs[leaving][:, None] + costs[coming]
        reached = float(value) * (1 - np.sqrt(samples / (samples + x))) - paid
        if len(chosen) == max_sellers:
            reached[0, :-1] = -np.inf  # nobody leaves and somebody comes
        out, new = np.unravel_index(int(reached.argmax()), reached.shape)
        then = {*chosen, int(coming[new])} - {int(leaving[out]), nobody}
        if _welfare_of(value, samples, worth, then) <= _welfare_of(value, samples, worth, chosen):
            return [worth[place] for place in chosen]
        chosen = sorted(then)


def _welfare_of(value: int, samples: int, offers: Sequence[Offer], places: Collection[int]) -> int:
    return welfare(value, samples, [offers[place] for place in places])


def bound(value: int, samples: int, offers: Sequence[Offer]) -> int:
    """At least the welfare of every set of the offers, of any number.

    Sellers that could be bought in parts would be taken cheapest sample first, until one more sample is worth less
    than it costs. In float64; rounded up by `ROUNDING` of the value and by two units, which is what `gain` rounds by.
    """
    return _up(value, _filled(value, samples, [(offer.cost, offer.size) for offer in offers]))


def capped_bound(value: int, samples: int, offers: Sequence[Offer], max_sellers: int) -> int:
    """At least the welfare of every set of at most `max_sellers` offers; never above `bound`.

    For any μ ≥ 0, no such set reaches more than the best one does where each seller costs μ more, plus μ · max_sellers.
    The lowest of these bounds, which are convex in μ, is looked for by halving.
    """

    def at(mu: float) -> float:
        return _filled(value, samples, [(offer.cost + mu, offer.size) for offer in offers]) + mu * max_sellers

    least, most = 0.0, float(value)
    for _ in range(SEARCHED):
        third = (most - least) / 3
        if at(least + third) <= at(most - third):
            most -= third
        else:
            least += third
    return min(_up(value, at(least)), bound(value, samples, offers))


def _filled(value: int, samples: int, offers: Sequence[tuple[float, int]]) -> float:
    """What (cost, size) offers that could be bought in parts would bring at best."""
    v, n = float(value), float(samples)
    imported, paid = 0.0, 0.0
    for cost, size in sorted(offers, key=lambda each: each[0] / each[1]):
        density = cost / size
        # G′(X) = v / 2N · (1 + X / N)^(−3/2) is the density here
        worth = n * ((v / (2 * n * density)) ** (2 / 3) - 1) if density else float("inf")
        taken = min(float(size), worth - imported)
        if taken <= 0:
            break
        imported += taken
        paid += taken * density
    return v * (imported / (n + imported) / (1 + sqrt(n / (n + imported)))) - paid


def _up(value: int, amount: float) -> int:
    return max(0, ceil(amount + value * ROUNDING)) + 2
