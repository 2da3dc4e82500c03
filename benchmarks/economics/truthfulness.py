"""What one lie pays within a round, all else equal: on the cost, the value, the samples and minReputation.

python -m benchmarks.economics.truthfulness
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from functools import partial
from math import isqrt
from statistics import mean

import numpy as np
from numpy.typing import NDArray

from benchmarks.document import save, table
from benchmarks.economics.markets import FAMILIES, SEEDS, TOKEN, market
from benchmarks.economics.page import COLOURS, NAMES, section, spread
from market_node.mechanism import gain
from market_node.records import NOT_SELLING, Bid, Round
from market_node.settlement import sketches
from market_node.simulation.designs.buyer import Buyer, Deal, Rule, buyers
from market_node.simulation.designs.free import free_rule
from market_node.simulation.designs.market import market_rule
from market_node.simulation.designs.paper import paper_rule
from market_node.simulation.designs.posted import best_price, posted_rule
from market_node.simulation.designs.proportional import proportional_rule
from market_node.simulation.designs.shapley import shapley_rule
from market_node.simulation.designs.vcg import vcg_rule
from market_node.sketch import similarity_matrix

OWNERS = 10
LIARS = 4
"""In each round; the others tell the truth."""

COST_FACTORS = (0, 0.25, 0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1.01, 1.05, 1.1, 1.25, 1.5, 2, 4)
MOST_THRESHOLDS = 24
VALUE_FACTORS = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 1.05, 1.2, 2)
SAMPLE_FACTORS = {"samples ÷ 2": 0.5, "samples × 2": 2, "samples × 10": 10}

LIES = ("cost", "value", *SAMPLE_FACTORS, "minReputation")

Chosen = Callable[[list[Buyer]], Rule]
"""The rule of a round's buyers: a design whose prices come from all the bids looks at them first."""


def _always(rule: Rule) -> Chosen:
    return lambda everybody: rule


def _posted(everybody: list[Buyer]) -> Rule:
    return posted_rule(best_price(everybody))


RULES: dict[str, Chosen] = {
    "market": _always(market_rule),
    "paper": _always(paper_rule),
    "posted": _posted,
    "proportional": _always(proportional_rule),
    "shapley": _always(shapley_rule),
    "vcg": _always(vcg_rule),
    "free": _always(free_rule),
}
BEFORE = "posted before"
"""A price that was found from the truth, and stays whatever is bid then."""

ALL_NAMES = {**NAMES, "posted": "posted price, from the bids", BEFORE: "posted price, from before"}
ALL_COLOURS = {**COLOURS, BEFORE: "#9bd4cc"}


@dataclass
class Seed:
    """What was found under one seed for one design. Tokens for an owner in a round."""

    honest: list[float] = field(default_factory=list)
    """Profits of those who then lied."""
    best: dict[str, list[float]] = field(default_factory=lambda: {lie: [] for lie in LIES})
    """What the best lie of a kind brought each more than the truth; 0 where none did."""


@dataclass(frozen=True)
class Table:
    """A round, and who is like whom in it: a lie changes bids, not models."""

    round: Round
    alike: NDArray[np.int64]

    def buyers(self) -> list[Buyer]:
        return list(buyers(self.round, frozenset(), self.alike))

    def bid(self, index: int) -> Bid:
        reveal = self.round.participants[index].reveal
        assert reveal is not None
        return reveal.bid

    def lying(self, liar: int, bid: Bid) -> "Table":
        participants = list(self.round.participants)
        reveal = participants[liar].reveal
        assert reveal is not None
        participants[liar] = replace(participants[liar], reveal=replace(reveal, bid=bid))
        return replace(self, round=replace(self.round, participants=tuple(participants)))


def profit(truth: Bid, liar: int, everybody: list[Buyer], rule: Rule) -> int:
    """What an owner of this truth makes of a round: prices less costs of its sales, gain less prices of its row."""
    made = 0
    for buyer in everybody:
        deal = rule(buyer)
        if buyer.index == liar:
            made += _bought(truth, buyer, deal)
        made += sum(purchase.price - truth.cost for purchase in deal.row if purchase.seller == liar)
    return made


def _bought(truth: Bid, buyer: Buyer, deal: Deal) -> int:
    """Its true gain, from sellers that are honest, less what it pays."""
    sizes = {offer.seller: offer.size for offer in buyer.offers}
    imported = sum(sizes[purchase.seller] for purchase in deal.row)
    return gain(truth.value, truth.samples, imported) - sum(p.price for p in deal.row) + deal.subsidy


def lies(table_: Table, liar: int, everybody: list[Buyer], rule: Rule) -> Iterator[tuple[str, Bid]]:
    """Every bid that is tried instead of the truth, and what it lies about."""
    truth = table_.bid(liar)
    if truth.cost != NOT_SELLING:
        costs = {int(truth.cost * factor) for factor in COST_FACTORS} | {NOT_SELLING}
        costs |= _thresholds(liar, everybody, rule)
        yield from (("cost", replace(truth, cost=cost)) for cost in sorted(costs - {truth.cost}))
    if truth.value:
        yield from (("value", replace(truth, value=int(truth.value * factor))) for factor in VALUE_FACTORS)
    for about, factor in SAMPLE_FACTORS.items():
        yield about, replace(truth, samples=int(truth.samples * factor))
    if truth.value:
        known = {p.reveal.reputation for p in table_.round.participants if p.reveal}
        yield from (("minReputation", replace(truth, min_reputation=each)) for each in sorted(known))


def _thresholds(liar: int, everybody: list[Buyer], rule: Rule) -> set[int]:
    """Costs at which something may change: what the liar is paid, what it adds alone, and where it would come just
    before or after another by cost per sample or by √G − √c, each a unit to both sides; of many, evenly spread."""
    exact: set[int] = set()
    for buyer in everybody:
        own = next((offer for offer in buyer.offers if offer.seller == liar), None)
        if own is None:
            continue
        exact |= {purchase.price for purchase in rule(buyer).row if purchase.seller == liar}
        alone = gain(buyer.value, buyer.samples, own.size)
        exact.add(alone)
        for other in buyer.offers:
            if other is not own:
                exact.add(other.cost * own.size // other.size)
                root = isqrt(alone) - isqrt(buyer.gain(other.size)) + isqrt(other.cost)
                exact.add(max(0, root) ** 2)
    known = sorted(cost for cost in exact if 0 < cost < NOT_SELLING - 1)
    step = -(-len(known) // MOST_THRESHOLDS) or 1
    return {cost + unit for cost in known[::step] for unit in (-1, 0, 1)}


def search(name: str, seed: int, number: int) -> dict[str, Seed]:
    """Every design's figures from one round of a family: `LIARS` of its owners try every lie, one at a time."""
    round_ = market(name, seed, number, OWNERS)
    true = Table(round_, similarity_matrix(sketches(round_), round_.terms.similarity_floor))
    everybody = true.buyers()
    before = posted_rule(best_price(everybody))
    chosen = {**RULES, BEFORE: _always(before)}
    found = {design: Seed() for design in chosen}
    lied: dict[tuple[int, Bid], list[Buyer]] = {}
    for liar in range(LIARS):
        truth = true.bid(liar)
        for design, choose in chosen.items():
            rule = choose(everybody)
            made = partial(profit, truth, liar)
            honest = made(everybody, rule)
            best = dict.fromkeys(LIES, 0)
            for about, bid in lies(true, liar, everybody, rule):
                if (liar, bid) not in lied:
                    lied[liar, bid] = true.lying(liar, bid).buyers()
                then = lied[liar, bid]
                best[about] = max(best[about], made(then, choose(then)) - honest)
            found[design].honest.append(honest / TOKEN)
            for about in LIES:
                found[design].best[about].append(best[about] / TOKEN)
    return found


Measured = dict[str, list[Seed]]
"""Design → by seed, over all families."""


def measure() -> Measured:
    measured: Measured = {}
    for seed in SEEDS:
        together: dict[str, Seed] = {}
        for name in FAMILIES:
            for design, found in search(name, seed, 0).items():
                into = together.setdefault(design, Seed())
                into.honest += found.honest
                for about in LIES:
                    into.best[about] += found.best[about]
        for design, found in together.items():
            measured.setdefault(design, []).append(found)
    return measured


def gains(measured: Measured) -> str:
    """The table: of each kind of lie, the mean over owners of what their best one brings, and the largest found."""

    def cell(seeds: list[Seed], about: str) -> str:
        largest = max(max(seed.best[about]) for seed in seeds)
        if largest == 0:
            return "0"
        return f"{spread((mean(seed.best[about]) for seed in seeds), 2)}, at most {_figure(largest)}"

    def row(design: str) -> list[str]:
        seeds = measured[design]
        honest = spread(mean(seed.honest) for seed in seeds)
        return [ALL_NAMES[design], honest, *(cell(seeds, about) for about in LIES)]

    return table(
        ["tokens for an owner and round", "honest profit", *LIES], [row(design) for design in _ordered(measured)]
    )


def _figure(amount: float) -> str:
    """A gain; what is there but smaller than a hundredth is not shown as nothing."""
    return "0" if amount == 0 else f"{amount:.2f}" if amount >= 0.005 else f"{amount:.0e}"


def liars(measured: Measured) -> str:
    """Of whom some lie of each kind pays, in hundredths."""
    rows = [
        [
            ALL_NAMES[design],
            *(
                spread((100 * mean(each > 0 for each in seed.best[about]) for seed in measured[design]), 0)
                for about in LIES
            ),
        ]
        for design in _ordered(measured)
    ]
    return table(["% of owners whom some lie pays", *LIES], rows)


def _ordered(measured: Measured) -> list[str]:
    return sorted(measured, key=list(ALL_NAMES).index)


def picture(measured: Measured) -> None:
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(2, len(LIES) // 2, figsize=(10, 5.4), sharey=True)
    shown = [design for design in _ordered(measured) if design != "free"]
    for panel, about in zip(panels.flat, LIES, strict=True):
        values = [[mean(seed.best[about]) for seed in measured[design]] for design in shown]
        panel.barh(
            [-at for at in range(len(shown))],
            [mean(each) for each in values],
            xerr=[[mean(each) - min(each) for each in values], [max(each) - mean(each) for each in values]],
            color=[ALL_COLOURS[design] for design in shown],
            error_kw={"linewidth": 0.8},
        )
        panel.set_title(about, fontsize=9)
        panel.set_xlabel("tokens gained", fontsize=9)
        panel.set_xlim(left=0)
        panel.tick_params(axis="y", length=0, labelsize=8)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0, 0].set_yticks([-at for at in range(len(shown))], [ALL_NAMES[design] for design in shown], fontsize=8)
    figure.tight_layout()
    save(figure, "truthfulness")
    plt.close(figure)


def main() -> None:
    measured = measure()
    print(text := page(measured))
    section("truthfulness", text)
    picture(measured)


def page(measured: Measured) -> str:
    ours, paper = (_figure(max(max(seed.best["cost"]) for seed in measured[design])) for design in ("market", "paper"))
    tried, least, most = len(FAMILIES) * len(SEEDS) * LIARS, COST_FACTORS[0], COST_FACTORS[-1]
    return f"""`python -m benchmarks.economics.truthfulness`: rounds of {OWNERS} owners of every family, as under
Welfare. {tried} owners try every lie, one at a time, while the others tell the truth. What the best lie of each kind
brings its owner more than the truth does, as buyer and seller together: mean over owners ± deviation over {len(SEEDS)}
seeds, and the largest found. A perfect model is worth about 100 tokens to an owner.

- cost: {len(COST_FACTORS)} factors from {least} to {most}, "I do not sell", and up to {3 * MOST_THRESHOLDS} exact
  thresholds: what it is paid, and where it would change places with another;
- value: {len(VALUE_FACTORS)} factors from {VALUE_FACTORS[0]} to {VALUE_FACTORS[-1]};
- samples: half, twice and ten times; believed, as always, up to what the account has earned;
- minReputation: each of the round's reputations instead of none.

The largest gain from any lie about a cost is {ours} under our rule and {paper} tokens under the paper's.

{gains(measured)}

{liars(measured)}

![What lies bring](figures/truthfulness.svg)

*Mean gain of an owner's best lie; lines: least to greatest seed. Free is in the tables alone: there an owner whom
copies cost something gains by not sharing at all.*"""


if __name__ == "__main__":
    main()
