"""Proportional share: a buyer pays a stated part of its gain, split by effective samples.

The candidates are those of our rule. Who gets less than its cost leaves, the dearest per sample first, until nobody
does. Then those who left come back, the cheapest first, wherever everybody would still get its cost.
"""

from ...mechanism import Offer, candidates
from ...records import ONE, Purchase
from .buyer import Buyer, Deal

PAID = ONE // 2
"""The part of the gain that is paid, 2**16 = 1."""


def proportional_rule(buyer: Buyer) -> Deal:
    looked_at, _ = candidates(buyer.value, buyer.samples, buyer.offers, buyer.max_sellers)
    staying = sorted(looked_at, key=lambda each: (each.cost / each.size, each.seller))
    left = []
    while short := _short(buyer, staying):
        staying.remove(short[-1])
        left.append(short[-1])
    for offer in reversed(left):
        if not _short(buyer, [*staying, offer]):
            staying.append(offer)
    prices = _shares(buyer, staying)
    return Deal(tuple(Purchase(offer.seller, prices[offer.seller]) for offer in staying))


def _short(buyer: Buyer, staying: list[Offer]) -> list[Offer]:
    """Those who would get less than their cost, in the same order."""
    prices = _shares(buyer, staying)
    return [offer for offer in staying if prices[offer.seller] < offer.cost]


def _shares(buyer: Buyer, staying: list[Offer]) -> dict[int, int]:
    """Rounded down: together at most a unit per seller less than the part of the gain that is paid."""
    imported = sum(offer.size for offer in staying)
    pool = (buyer.gain(imported) * PAID) >> 16
    return {offer.seller: pool * offer.size // imported for offer in staying}
