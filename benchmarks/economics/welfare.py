"""How much of what trade can bring each design brings, where everybody bids what is true.

python -m benchmarks.economics.welfare
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from statistics import mean

from benchmarks.document import save, table
from benchmarks.economics.markets import FAMILIES, SEEDS, TOKEN, market
from benchmarks.economics.page import COLOURS, NAMES, section, spread
from market_node.mechanism import candidates
from market_node.records import Round
from market_node.simulation.designs import DESIGNS
from market_node.simulation.designs.buyer import Buyer, buyers
from market_node.simulation.optimum import bound, capped_bound, exchanged, greatest, welfare
from market_node.simulation.play import Clearing


@dataclass(frozen=True)
class Size:
    """Rounds of one size."""

    says: str
    owners: int
    rounds: int
    """For each seed and family."""
    max_sellers: int
    """Of the families that name none."""
    exact: bool
    """Whether the optimum is enumerated; else it is the bound for so many sellers."""


SMALL = Size("12 owners", owners=12, rounds=20, max_sellers=32, exact=True)
OPEN = Size("100 owners, 32 sellers a row", owners=100, rounds=2, max_sellers=32, exact=False)
CAPPED = Size("100 owners, 8 sellers a row", owners=100, rounds=2, max_sellers=8, exact=False)


@dataclass
class Total:
    """Sums over the rounds of one seed, amounts in tokens."""

    welfare: float = 0
    best: float = 0
    """The greatest welfare, or its bound."""
    known: float = 0
    """The best that was found: the optimum is between this and the bound."""
    uncapped: float = 0
    """The bound for any number of sellers."""
    volume: float = 0
    subsidy: float = 0
    owners: int = 0
    buyers: int = 0
    cut: int = 0
    """Buyers with more eligible sellers than their rows may hold."""
    buying: int = 0
    sold: int = 0
    sold_at_a_loss: int = 0

    def __add__(self, other: "Total") -> "Total":
        return Total(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(Total)))


def totals(name: str, size: Size, seed: int) -> dict[str, Total]:
    """Design → its sums over a family's rounds of one size under one seed."""
    found = {design: Total() for design in DESIGNS}
    for number in range(size.rounds):
        round_ = market(name, seed, number, size.owners, size.max_sellers)
        everybody = list(buyers(round_, frozenset()))
        known = sum(_known(buyer, size.exact) for buyer in everybody) / TOKEN
        best = known if size.exact else sum(_bound(buyer) for buyer in everybody) / TOKEN
        uncapped = sum(bound(buyer.value, buyer.samples, buyer.offers) for buyer in everybody) / TOKEN
        for design in DESIGNS:
            total = _total(round_, everybody, DESIGNS[design](round_, frozenset()))
            total.best, total.known, total.uncapped = best, known, uncapped
            found[design] += total
    return found


def _known(buyer: Buyer, exact: bool) -> int:
    find = greatest if exact else exchanged
    return welfare(buyer.value, buyer.samples, find(buyer.value, buyer.samples, buyer.offers, buyer.max_sellers))


def _bound(buyer: Buyer) -> int:
    return capped_bound(buyer.value, buyer.samples, buyer.offers, buyer.max_sellers)


def _total(round_: Round, everybody: list[Buyer], clearing: Clearing) -> Total:
    total = Total(owners=len(round_.participants), buyers=len(everybody))
    for buyer in everybody:
        prices = {purchase.seller: purchase.price for purchase in clearing.rows[buyer.index]}
        bought = [offer for offer in buyer.offers if offer.seller in prices]
        total.welfare += welfare(buyer.value, buyer.samples, bought) / TOKEN
        total.cut += candidates(buyer.value, buyer.samples, buyer.offers, buyer.max_sellers)[1] is not None
        total.buying += bool(bought)
        total.sold += len(bought)
        total.sold_at_a_loss += sum(prices[offer.seller] < offer.cost for offer in bought)
        total.volume += sum(prices.values()) / TOKEN
        total.subsidy += clearing.subsidies.get(buyer.index, 0) / TOKEN
    return total


Measured = Mapping[str, list[dict[str, Total]]]
"""Family → by seed: design → total."""


def measure(size: Size) -> Measured:
    return {name: [totals(name, size, seed) for seed in SEEDS] for name in FAMILIES}


def parts(measured: Measured, name: str, design: str) -> list[float]:
    """Hundredths of the best, by seed."""
    return [100 * total[design].welfare / total[design].best for total in measured[name]]


def comparison(measured: Measured, size: Size) -> str:
    """Of each family and design, the part of the best welfare."""
    rows = [[name, *(spread(parts(measured, name, design)) for design in DESIGNS)] for name in FAMILIES]
    head = ["% of the best", *(NAMES[design] for design in DESIGNS)]
    if not size.exact:
        head.append("best found")
        for row in rows:
            totals = [each["market"] for each in measured[row[0]]]
            row.append(spread(100 * total.known / total.best for total in totals))
    return table(head, rows)


def trade(measured: Measured) -> str:
    """Of each design over all families, what is traded and who pays."""

    def row(design: str) -> list[str]:
        by_seed = [sum((totals[design] for totals in each), Total()) for each in zip(*measured.values(), strict=True)]
        return [
            NAMES[design],
            spread(total.welfare / total.owners for total in by_seed),
            spread(total.volume / total.owners for total in by_seed),
            spread(100 * total.buying / total.buyers for total in by_seed),
            spread(total.sold / total.owners for total in by_seed),
            spread(100 * total.sold_at_a_loss / max(1, total.sold) for total in by_seed),
            spread(total.subsidy / total.owners for total in by_seed),
        ]

    head = [
        *("tokens for each owner", "welfare", "volume", "buyers that buy, %", "copies sold"),
        *("sold at a loss, %", "paid from outside"),
    ]
    return table(head, [row(design) for design in DESIGNS])


def promises(sizes: Sequence[tuple[Size, Measured]]) -> str:
    """Where ours keeps its 99 and 95 % and where it does not, and who does better."""
    rows = []
    for size, measured in sizes:
        for name in FAMILIES:
            totals = [each["market"] for each in measured[name]]
            ours = parts(measured, name, "market")
            binds = mean(100 * total.cut / total.buyers for total in totals)
            aim = 99 if binds < 1 else 95
            rivals = {d: mean(parts(measured, name, d)) for d in DESIGNS if d not in ("vcg", "market")}
            best = max(rivals, key=lambda design: rivals[design])
            better = f"{NAMES[best]}, {rivals[best]:.1f}" if rivals[best] > mean(ours) else "nobody"
            verdict = "kept" if mean(ours) >= aim else "**not kept**"
            found = spread(100 * total.welfare / total.known for total in totals)
            rows.append([f"{size.says}, {name}", f"{binds:.0f}", f"≥ {aim}", spread(ours), found, verdict, better])
    head = ["%", "rows that the cap binds", "promised", "of the best", "of the best found", "", "better"]
    return table(head, rows)


def picture(measured: Mapping[str, Measured]) -> None:
    """One panel for each of `measured`: title → figures."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, len(measured), figsize=(10, 3.6), sharey=True, sharex=True)
    shown = [design for design in DESIGNS if design != "free"]
    for panel, (title, figures) in zip(panels, measured.items(), strict=True):
        for place, design in enumerate(shown):
            values = [parts(figures, name, design) for name in FAMILIES]
            means = [mean(each) for each in values]
            panel.errorbar(
                means,
                [-at - (place - (len(shown) - 1) / 2) * 0.12 for at in range(len(FAMILIES))],
                xerr=[
                    [middle - min(each) for middle, each in zip(means, values, strict=True)],
                    [max(each) - middle for middle, each in zip(means, values, strict=True)],
                ],
                fmt="o" if design == "market" else "s",
                markersize=6 if design == "market" else 4,
                linewidth=1,
                color=COLOURS[design],
                label=NAMES[design],
            )
        for aim in (95, 99):
            panel.axvline(aim, color="#cccccc", linewidth=0.8, linestyle="--", zorder=0)
        panel.set_title(title, fontsize=9)
        panel.set_xlabel("welfare, % of the best", fontsize=9)
        panel.spines[["top", "right"]].set_visible(False)
    panels[0].set_yticks([-at for at in range(len(FAMILIES))], list(FAMILIES))
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncol=6, fontsize=8, frameon=False)
    figure.tight_layout(rect=(0, 0.08, 1, 1))
    save(figure, "welfare")
    plt.close(figure)


def main() -> None:
    small, open_, capped = measure(SMALL), measure(OPEN), measure(CAPPED)
    print(text := page(small, open_, capped))
    section("welfare", text)
    titles = {
        f"{SMALL.owners} owners, of the exact optimum": small,
        f"{OPEN.owners} owners, at most {OPEN.max_sellers} sellers a row,\nof an upper bound": open_,
        f"{CAPPED.owners} owners, at most {CAPPED.max_sellers} sellers a row,\nof an upper bound": capped,
    }
    picture(titles)


def page(small: Measured, open_: Measured, capped: Measured) -> str:
    families = "\n".join(f"- *{name}*: {family.says}." for name, family in FAMILIES.items())
    ours = {name: [each["market"] for each in capped[name]] for name in FAMILIES}
    uncapped = ", ".join(
        f"{name} {spread(100 * total.welfare / total.uncapped for total in ours[name])}" for name in FAMILIES
    )
    return f"""`python -m benchmarks.economics.welfare`: everybody bids what is true. Σ welfare / Σ best over
{SMALL.rounds} rounds of {SMALL.owners} owners and {OPEN.rounds} of {OPEN.owners} for each seed and family; mean ±
deviation over {len(SEEDS)} seeds.

{families}

**{SMALL.says}**, of the greatest welfare, by trying every set of sellers. The cap binds in *capped* alone.

{comparison(small, SMALL)}

**{OPEN.says}** (*capped*: {FAMILIES["capped"].max_sellers}), of an upper bound: parts of models could be bought,
and there is a price on a seller's place. The optimum itself lies between the best that was found and the bound. VCG is
not the optimum here: it chooses as we do.

{comparison(open_, OPEN)}

**{CAPPED.says}** (*capped*: {FAMILIES["capped"].max_sellers}), of the same kind of bound.

{comparison(capped, CAPPED)}

Of the bound without a cap, ours reaches here, in %: {uncapped}.

What was promised: ≥ 99 % of the best where the cap does not bind and ≥ 95 % where it does. It binds a row if more
sellers are worth their cost alone than the row may hold. VCG, which needs money from outside, is left aside.

{promises([(SMALL, small), (OPEN, open_), (CAPPED, capped)])}

Over all families, {CAPPED.says}:

{trade(capped)}

![Welfare by family and design](figures/welfare.svg)

*Points: means over seeds; lines: least to greatest. Free, far below 0 where copies cost something, is not shown.*"""


if __name__ == "__main__":
    main()
