"""What one buyer buys, and at what prices: exact integers, no rounding but the one in `gain`.

Amounts are base units of the market's token; samples are counts; reputations and similarities have 2**16 = 1.
Names follow the equations of docs/protocol.md: a buyer of value v with N samples of its own gains
G(x) = v · (1 - √(N / (N + x))) from x effective samples, and seller j brings it s_j of them at cost c_j.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cmp_to_key
from heapq import nsmallest
from math import isqrt

from market_node.records import Purchase, Row


@dataclass(frozen=True, slots=True)
class Offer:
    """What one seller offers to one buyer."""

    seller: int
    """The seller's index in the round; breaks every tie, lower first."""
    cost: int
    """What one copy must bring, base units."""
    size: int
    """Effective samples for this buyer, at least 1."""


def gain(value: int, samples: int, imported: int) -> int:
    """What `imported` effective samples are worth to a buyer that has `samples` >= 1 of its own, base units.

    Rounded once: a root of 96 fractional bits, since one of 64 is too coarse for large values.
    """
    root = isqrt((samples << 192) // (samples + imported))
    return value - ((value * root) >> 96)  # G(x) = v · (1 - √(N / (N + x)))


def marginal(value: int, samples: int, imported: int, size: int) -> int:
    """What `size` samples add to the `imported` ones, base units."""
    return gain(value, samples, imported + size) - gain(value, samples, imported)  # G(X + s) - G(X)


def believed_samples(samples: int, reputation: int, max_samples: int) -> int:
    """A claim of `samples`, up to the share of `max_samples` that its account has earned."""
    return min(samples, (reputation * max_samples) >> 16)


def effective_samples(samples: int, reputation: int, max_samples: int, similarity: int) -> int:
    """What a seller that claims `samples` brings to a buyer to which it has this `similarity`, samples."""
    return (believed_samples(samples, reputation, max_samples) * similarity) >> 16  # s = min(N, r · maxSamples) · sim


def surplus(value: int, samples: int, offer: Offer) -> int:
    """What the seller would bring alone, less its cost, base units; negative if that is not worth it."""
    return gain(value, samples, offer.size) - offer.cost  # u = G(s) - c


def merit(value: int, samples: int, offer: Offer) -> int:
    """What a place among the candidates goes by: √G(s) - √c, in 2**-48 of the root of a base unit.

    A place for who brings much and costs little of it. By surplus, G - c, the large and dear would take all places,
    whose last samples pay for their first; by cost per sample, those that bring next to nothing.
    """
    return _root(gain(value, samples, offer.size)) - _root(offer.cost)


def candidates(value: int, samples: int, offers: Sequence[Offer], max_sellers: int) -> tuple[list[Offer], Offer | None]:
    """The sellers that the buyer's choice looks at, and the first one left out.

    Args:
        offers: of sellers that the buyer would buy from, sizes > 0, in any order.
        max_sellers: at least 1.

    Returns:
        The `max_sellers` offers of largest merit, of those of surplus >= 0, in that order, and the next one if there
        is one.
    """
    if value == 0:  # a pure seller would otherwise "buy" whatever costs 0
        return [], None
    eligible = (offer for offer in offers if surplus(value, samples, offer) >= 0)
    ranked = nsmallest(max_sellers + 1, eligible, key=lambda offer: (-merit(value, samples, offer), offer.seller))
    return ranked[:max_sellers], ranked[max_sellers] if len(ranked) > max_sellers else None


def choose(value: int, samples: int, offers: Sequence[Offer]) -> list[Offer]:
    """The offers that the buyer takes, in order: cheapest sample first, while each is worth its cost."""
    chosen: list[Offer] = []
    imported = 0
    for offer in _by_density(offers):
        if marginal(value, samples, imported, offer.size) < offer.cost:
            break
        chosen.append(offer)
        imported += offer.size
    return chosen


def critical_price(value: int, samples: int, seller: Offer, others: Sequence[Offer], left_out: Offer | None) -> int:
    """The highest cost at which a chosen seller would still have been chosen, everything else equal.

    Args:
        seller: a candidate; its cost plays no part.
        others: the other candidates, in any order.
        left_out: the first one that is no candidate.

    Returns:
        Base units; below 0 where the seller would not be chosen at any cost.
    """
    price = max(_bounds(value, samples, seller, others))
    if left_out is not None:
        price = min(price, _highest_cost_of_a_candidate(value, samples, seller, left_out))
    return price


def row(value: int, samples: int, offers: Sequence[Offer], max_sellers: int) -> Row:
    """What the buyer buys and at what prices, in the order of its choice. Arguments as in `candidates`."""
    looked_at, left_out = candidates(value, samples, offers, max_sellers)

    def price(seller: Offer) -> int:
        others = [other for other in looked_at if other is not seller]
        return critical_price(value, samples, seller, others, left_out)

    return tuple(Purchase(seller.seller, price(seller)) for seller in choose(value, samples, looked_at))


def _bounds(value: int, samples: int, seller: Offer, others: Sequence[Offer]) -> Iterator[int]:
    """The highest cost at which the seller is taken at each position of the others' run, up to its stop."""
    imported = 0
    for other in _by_density(others):
        worth = marginal(value, samples, imported, seller.size)
        yield min(worth, _highest_cost_before(seller, other))
        if marginal(value, samples, imported, other.size) < other.cost:
            return
        imported += other.size
    yield marginal(value, samples, imported, seller.size)


def _highest_cost_of_a_candidate(value: int, samples: int, seller: Offer, left_out: Offer) -> int:
    """The highest cost at which the seller keeps its place: √c ≤ √G(s) - m*, or < where a tie is lost."""
    lost = left_out.seller < seller.seller
    root = _root(gain(value, samples, seller.size)) - merit(value, samples, left_out) - lost
    return ((root + 1) ** 2 - 1) >> 96 if root >= 0 else -1  # the highest with _root(c) ≤ root


def _root(amount: int) -> int:
    """Of an amount, with 48 fractional bits."""
    return isqrt(amount << 96)


def _highest_cost_before(seller: Offer, other: Offer) -> int:
    """The highest cost at which the seller precedes the other: c_p · s / s_p, or 1 less if a tie is lost."""
    cost, rest = divmod(other.cost * seller.size, other.size)
    return cost - (rest == 0 and other.seller < seller.seller)


def _by_density(offers: Sequence[Offer]) -> list[Offer]:
    """In order of cost per sample, ties by index."""
    return sorted(offers, key=cmp_to_key(_compare_densities))


def _compare_densities(a: Offer, b: Offer) -> int:
    """Negative where a comes before b. Cross-multiplied: a quotient would round."""
    return a.cost * b.size - b.cost * a.size or a.seller - b.seller
