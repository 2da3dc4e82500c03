"""Vickrey, Clarke and Groves: the best choice, and each seller is paid what the market loses without it.

A chosen seller gets its cost and W − W′, the greatest welfare with it less the greatest without it, chosen anew. The
buyer pays the costs alone. What is missing somebody from outside must pay, and it is large: the design's price.

Where more than `ENUMERATED` sellers are worth their cost alone, both choices are those of our rule instead of the best
ones. A price is still never below the cost, but truth is no longer proven to be best.
"""

from collections.abc import Sequence

from ...mechanism import Offer, candidates, choose, surplus
from ...records import Purchase
from ..optimum import greatest, welfare
from .buyer import Buyer, Deal

ENUMERATED = 12
"""Sellers up to which every set is tried."""


def vcg_rule(buyer: Buyer) -> Deal:
    eligible = [offer for offer in buyer.offers if surplus(buyer.value, buyer.samples, offer) >= 0]
    best = _greatest if len(eligible) <= ENUMERATED else _ours
    chosen = best(buyer, eligible)
    total = _welfare(buyer, chosen)

    def price(offer: Offer) -> int:
        without = _welfare(buyer, best(buyer, [other for other in eligible if other is not offer]))
        return offer.cost + max(0, total - without)

    row = tuple(Purchase(offer.seller, price(offer)) for offer in chosen)
    return Deal(row, sum(purchase.price for purchase in row) - sum(offer.cost for offer in chosen))


def _greatest(buyer: Buyer, offers: Sequence[Offer]) -> list[Offer]:
    return greatest(buyer.value, buyer.samples, offers, buyer.max_sellers)


def _ours(buyer: Buyer, offers: Sequence[Offer]) -> list[Offer]:
    looked_at, _ = candidates(buyer.value, buyer.samples, offers, buyer.max_sellers)
    return choose(buyer.value, buyer.samples, looked_at)


def _welfare(buyer: Buyer, chosen: Sequence[Offer]) -> int:
    return welfare(buyer.value, buyer.samples, chosen)
