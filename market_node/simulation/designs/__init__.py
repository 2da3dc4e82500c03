"""Reward designs to compare: of the same bids, who buys from whom and at what price.

All see to `max_sellers`, minReputation, exclusions and that nobody buys from itself, and all are functions of the round
alone, its seed included. Only the first is what the market does.
"""

from .buyer import Design, by_rows
from .free import free_rule
from .market import market
from .paper import paper_rule
from .posted import posted
from .proportional import proportional_rule
from .shapley import shapley_rule
from .vcg import vcg_rule

DESIGNS: dict[str, Design] = {
    "market": market,
    "paper": by_rows(paper_rule, shortlisted=True),
    "posted": posted,
    "proportional": by_rows(proportional_rule, shortlisted=True),
    "shapley": by_rows(shapley_rule, shortlisted=True),
    "vcg": by_rows(vcg_rule),
    "free": by_rows(free_rule),
}
"""Name → design."""

__all__ = ["DESIGNS", "Design"]
