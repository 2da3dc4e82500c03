"""The market's own rule: what the node settles by."""

from ...mechanism import row
from ...records import Round
from ...settlement import settle
from ..play import Clearing
from .buyer import Buyer, Deal


def market(round_: Round, excluded: frozenset[int]) -> Clearing:
    return Clearing(settle(round_, excluded).rows)


def market_rule(buyer: Buyer) -> Deal:
    """The same for one buyer."""
    return Deal(row(buyer.value, buyer.samples, buyer.offers, buyer.max_sellers))
