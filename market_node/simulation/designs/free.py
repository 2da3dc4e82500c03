"""Nobody pays: each buyer takes the largest sellers, by effective samples, of all that share at all, and costs count
for nothing. What federations without payments do."""

from ...records import Purchase
from .buyer import Buyer, Deal


def free_rule(buyer: Buyer) -> Deal:
    largest = sorted(buyer.offers, key=lambda each: (-each.size, each.seller))[: buyer.max_sellers]
    return Deal(tuple(Purchase(offer.seller, 0) for offer in largest))
