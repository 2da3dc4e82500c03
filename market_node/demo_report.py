"""The demo's report: one table of who gained what, the auditor's verdict, the gas, and the graph as a picture."""

from pathlib import Path
from statistics import mean, median
from typing import Any

from rich.console import Console
from rich.table import Table

from .demo import LIES, Outcome, Player
from .picture import Arrow, Dot, draw_graph
from .records import ONE
from .scenario import TOKEN


def show(outcome: Outcome, console: Console, picture: Path) -> None:
    """Prints everything and draws the last round's graph at `picture`."""
    console.print(_players(outcome))
    for line in _summary(outcome):
        console.print(line)
    console.print(_verdict(outcome))
    console.print(_gas(outcome))
    draw(outcome, picture)
    console.print(f"The last round's graph: {picture}", soft_wrap=True)


def document(outcome: Outcome, picture: Path) -> dict[str, Any]:
    """The same as one JSON document; amounts in base units, as text."""
    paid_in, paid_to = outcome.balance
    gained, told = outcome.temptation
    return {
        "seed": outcome.scenario.seed,
        "dataset": outcome.scenario.dataset,
        "participants": [
            {
                "name": player.actor.name,
                "role": player.actor.role,
                "accuracy_alone": alone,
                "accuracy_after": after,
                "bought": player.bought,
                "sold": player.sold,
                "spent": str(player.spent),
                "earned": str(player.earned),
                "reputation": reputation / ONE,
            }
            for player, (alone, after), reputation in zip(
                outcome.players, outcome.accuracies, outcome.reputations, strict=True
            )
        ],
        "mean_accuracy_alone": _means(outcome)[0],
        "mean_accuracy_after": _means(outcome)[1],
        "audit": {
            "prices": sum(audit.prices for audit in outcome.audits),
            "credits": sum(audit.credits for audit in outcome.audits),
            "reputations": sum(audit.reputations for audit in outcome.audits),
            "findings": [finding.text for audit in outcome.audits for finding in audit.findings],
        },
        "paid_in": str(paid_in),
        "paid_to": str(paid_to),
        "largest_gain_from_a_false_cost": str(gained),
        "by": told,
        "gas": {step: {"count": len(used), "median": median(used)} for step, used in outcome.gas.items()},
        "picture": str(picture),
    }


def draw(outcome: Outcome, path: Path) -> None:
    """The last round's graph."""
    settlement = outcome.rounds[-1].settlement
    assert settlement is not None
    dots = [
        Dot(player.actor.name, player.actor.group, f"{alone:.0f} % → {after:.0f} %")
        for player, (alone, after) in zip(outcome.players, outcome.accuracies, strict=True)
    ]
    arrows = [
        Arrow(purchase.seller, buyer, purchase.price / TOKEN)
        for buyer, row in enumerate(settlement.rows)
        for purchase in row
    ]
    title = f"Round {len(outcome.rounds)}: whose model went to whom, and its price in tokens"
    draw_graph(dots, arrows, path, title)


def _players(outcome: Outcome) -> Table:
    table = Table(title="What the market did for each participant", title_justify="left")
    for heading in ("participant", "role"):
        table.add_column(heading)
    for heading in ("alone", "after", "gain", "bought", "sold", "spent", "earned", "reputation"):
        table.add_column(heading, justify="right")
    for player, (alone, after), reputation in zip(
        outcome.players, outcome.accuracies, outcome.reputations, strict=True
    ):
        gain = after - alone
        colour = "green" if gain > 0 else "red" if gain < 0 else "white"
        table.add_row(
            player.actor.name,
            player.actor.role,
            f"{alone:.1f} %",
            f"{after:.1f} %",
            f"[{colour}]{gain:+.1f}[/]",
            str(player.bought),
            str(player.sold),
            _tokens(player.spent),
            _tokens(player.earned),
            f"{reputation / ONE:.3f}",
        )
    return table


def _summary(outcome: Outcome) -> list[str]:
    alone, after = _means(outcome)
    losers = [
        player.actor.name
        for player, (before, then) in zip(outcome.players, outcome.accuracies, strict=True)
        if then < before
    ]
    gained, told = outcome.temptation
    factors = ", ".join(f"{factor:g}" for factor in LIES)
    return [
        f"Mean accuracy of all who trade their own model: {alone:.2f} % alone, {after:.2f} % after the market.",
        f"Worse off after the market than alone: {', '.join(losers) or 'nobody'}.",
        f"Largest gain from a false cost in the last round (x {factors}): {_tokens(gained)} tokens ({told}).",
    ]


def _verdict(outcome: Outcome) -> Table:
    table = Table(title="The auditor, with no key and no model, from the chain's logs alone", title_justify="left")
    for heading in ("round", "prices", "credits", "reputations", "verdict"):
        table.add_column(heading, justify="left" if heading == "verdict" else "right")
    for audit in outcome.audits:
        verdict = "; ".join(finding.text for finding in audit.findings) or "every one recomputed equal"
        table.add_row(str(audit.round), str(audit.prices), str(audit.credits), str(audit.reputations), verdict)
    paid_in, paid_to = outcome.balance
    equal = "equal to the unit" if paid_in == paid_to else f"{paid_in - paid_to} apart"
    table.caption = f"Σ deposits + bonds = {paid_in}, Σ credits + burnt = {paid_to} base units: {equal}"
    table.caption_justify = "left"
    return table


def _gas(outcome: Outcome) -> Table:
    table = Table(title="Gas", title_justify="left")
    for heading in ("step", "transactions", "median", "per participant"):
        table.add_column(heading, justify="left" if heading == "step" else "right")
    count = len(outcome.players)
    for step, used in outcome.gas.items():
        shared = "" if len(used) >= count else f"{sum(used) / len(outcome.rounds) / count:,.0f}"
        table.add_row(step, str(len(used)), f"{median(used):,.0f}", shared)
    return table


def _means(outcome: Outcome) -> tuple[float, float]:
    """Mean accuracy alone and after, over everybody but who offers noise."""
    kept = [both for player, both in zip(outcome.players, outcome.accuracies, strict=True) if _trades_own(player)]
    return mean(alone for alone, _ in kept), mean(after for _, after in kept)


def _trades_own(player: Player) -> bool:
    return not player.actor.offers_noise


def _tokens(amount: int) -> str:
    return f"{amount / TOKEN:,.2f}"
