"""Shapley values, sampled, with the buyer as one of the players: a coalition without it gains nothing.

Each seller is paid what it adds to those who came before it, if the buyer did, on average over orders of arrival that
are drawn from the round's seed: `ORDERS` of them, and each one backwards. What is left of the gain is the buyer's. The
candidates are those of our rule. Who gets less than its cost leaves, the one whose share covers the least of it first,
and values are computed anew, until nobody does.
"""

from fractions import Fraction
from random import Random

from ...mechanism import Offer, candidates
from ...records import Purchase
from .buyer import Buyer, Deal

ORDERS = 24
"""Drawn; with their reverses, twice as many."""


def shapley_rule(buyer: Buyer) -> Deal:
    staying, _ = candidates(buyer.value, buyer.samples, buyer.offers, buyer.max_sellers)
    while staying:
        shares = values(buyer, staying)
        short = [offer for offer in staying if shares[offer.seller] < offer.cost]
        if not short:
            return Deal(tuple(Purchase(offer.seller, shares[offer.seller]) for offer in staying))
        staying.remove(min(short, key=lambda each: (Fraction(shares[each.seller], each.cost), each.seller)))
    return Deal()


def values(buyer: Buyer, staying: list[Offer]) -> dict[int, int]:
    """Seller → its value, rounded down. With the buyer's they add up to the gain, less a unit per seller."""
    totals = dict.fromkeys((offer.seller for offer in staying), 0)
    rng = Random(buyer.seed + buyer.index.to_bytes(4, "big"))
    players: list[Offer | None] = [None, *sorted(staying, key=lambda offer: offer.seller)]  # None: the buyer
    for _ in range(ORDERS):
        rng.shuffle(players)
        _arrive(buyer, players, totals)
        _arrive(buyer, players[::-1], totals)
    return {seller: total // (2 * ORDERS) for seller, total in totals.items()}


def _arrive(buyer: Buyer, order: list[Offer | None], totals: dict[int, int]) -> None:
    """Adds what each seller adds when it comes."""
    imported, gained, is_here = 0, 0, False
    for player in order:
        if player is None:
            is_here, gained = True, buyer.gain(imported)
            continue
        imported += player.size
        if is_here:
            before, gained = gained, buyer.gain(imported)
            totals[player.seller] += gained - before
