"""The rule of iPFL (arXiv 2505.02462), as its public code has it (github.com/19dx/iPFL, utils/algorithms).

Taken from `choose_clients_direct` in ipfl_utils.py and `Get_Payment` in incentive_utils.py: a seller's threshold is the
number of samples x, its own s included, at which what it adds, √(K/(x − s)) − √(K/x), is just its cost. Sellers come in
falling order of threshold and are taken while the samples with them stay below it, up to the first that fails. Each is
paid what it adds to all the others, held fixed.

Not taken: the price deduction for unlikeness, λ · d · N_j / N_i, because here likeness is in the effective samples; the
thresholds come from integers, where the code has a numerical solver (scipy's `fsolve`), which need not converge. Added,
because the code has no cap: the candidates are those of our rule.
"""

from ...mechanism import Offer, candidates, marginal
from ...records import Purchase
from .buyer import Buyer, Deal


def paper_rule(buyer: Buyer) -> Deal:
    looked_at, _ = candidates(buyer.value, buyer.samples, buyer.offers, buyer.max_sellers)
    chosen: list[Offer] = []
    imported = 0
    for offer in sorted(looked_at, key=lambda each: (-threshold(buyer, each), each.seller)):
        if marginal(buyer.value, buyer.samples, imported, offer.size) < offer.cost:
            break
        chosen.append(offer)
        imported += offer.size

    def added(offer: Offer) -> int:
        return marginal(buyer.value, buyer.samples, imported - offer.size, offer.size)

    return Deal(tuple(Purchase(offer.seller, added(offer)) for offer in chosen))


def threshold(buyer: Buyer, offer: Offer) -> float:
    """The most imported samples, its own included, with which it adds its cost; without end where that is 0."""
    if offer.cost == 0:
        return float("inf")

    def adds(imported: int) -> bool:
        return marginal(buyer.value, buyer.samples, imported, offer.size) >= offer.cost

    most = buyer.samples
    while adds(most):
        most *= 2
    least = 0  # a candidate adds its cost where nothing else was imported
    while most - least > 1:
        middle = (least + most) // 2
        least, most = (middle, most) if adds(middle) else (least, middle)
    return least + offer.size
