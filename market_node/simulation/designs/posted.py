"""A posted price: so much per effective sample, the same for everybody in a round.

Sellers that it covers are willing. A buyer takes the largest first, at most `max_sellers`, each as long as it adds more
than it costs to buy; one that does not is passed over, since a smaller one still may. With a price from elsewhere no
lie about a cost pays. `posted` finds the price itself, from the bids of the very round that it clears: of the quantiles
of all offers' costs per sample, the one with the largest welfare by the bids. That is more than a market could know
beforehand, and it gives lies a way to move the price: measure both.
"""

from collections.abc import Iterable, Sequence

from ...mechanism import marginal
from ...records import Purchase, Round
from ..play import Clearing
from .buyer import Buyer, Deal, Rule, buyers, cleared

QUANTILES = 20
"""Prices tried: these parts of all costs per sample."""

MOST_ASKED = 64
"""Buyers whose welfare is looked at to find the price; more are thinned out evenly."""


def posted(round_: Round, excluded: frozenset[int]) -> Clearing:
    everybody = list(buyers(round_, excluded))
    rule = posted_rule(best_price(everybody))
    return cleared(len(round_.participants), {buyer.index: rule(buyer) for buyer in everybody})


def posted_rule(price: int) -> Rule:
    """The rule under a price in base units per 2**16 effective samples."""

    def rule(buyer: Buyer) -> Deal:
        bought: list[Purchase] = []
        imported = 0
        for offer in sorted(buyer.offers, key=lambda each: (-each.size, each.seller)):
            paid = (price * offer.size) >> 16
            if offer.cost > paid or marginal(buyer.value, buyer.samples, imported, offer.size) < paid:
                continue
            bought.append(Purchase(offer.seller, paid))
            imported += offer.size
            if len(bought) == buyer.max_sellers:
                break
        return Deal(tuple(bought))

    return rule


def best_price(everybody: Sequence[Buyer]) -> int:
    """The quantile of all costs per sample under which the bids' welfare is largest; the lowest of equals."""
    densities = sorted(-((-offer.cost << 16) // offer.size) for each in everybody for offer in each.offers)
    if not densities:
        return 0
    tried = sorted({densities[(len(densities) - 1) * part // QUANTILES] for part in range(QUANTILES + 1)})
    asked = everybody[:: -(-len(everybody) // MOST_ASKED)]
    return max(tried, key=lambda price: sum(_welfares(posted_rule(price), asked)))


def _welfares(rule: Rule, everybody: Iterable[Buyer]) -> Iterable[int]:
    """What each buyer gains by the rule less its sellers' costs, by the bids."""
    for buyer in everybody:
        bought = {purchase.seller for purchase in rule(buyer).row}
        sold = [offer for offer in buyer.offers if offer.seller in bought]
        yield buyer.gain(sum(offer.size for offer in sold)) - sum(offer.cost for offer in sold)
