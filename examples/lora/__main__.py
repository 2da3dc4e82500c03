"""Six owners of two kinds of text trade LoRA adapters on a round of the market.

    python -m examples.lora [FOLDER]

Writes what each owner has after the round to FOLDER, as PEFT reads it.
"""

import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from math import exp
from pathlib import Path

from examples.lora.owner import OWNERS, Owner, architecture, save
from examples.lora.texts import DOMAINS
from examples.one_round import TOKEN, Trader, play
from market_node.learning import Weights
from market_node.records import Round

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank")


@dataclass(frozen=True)
class Measured:
    """Perplexity on the test sequences of one's own domain."""

    trader: Trader
    domain: str
    before: float
    """The language model as it is."""
    first: float
    """Trained once, alone: what was offered."""
    alone: float
    """Trained on without the market."""
    after: float
    """Trained on, as often, from the mixture with what was bought."""


def run(trains_a: bool = False, say: Callable[[str], None] = print) -> tuple[list[Measured], Round]:
    """Plays the round and measures what came of it."""
    owners = [Owner(domain, number, trains_a) for domain in DOMAINS for number in range(OWNERS)]
    with tempfile.TemporaryDirectory(prefix="market-node-lora-") as folder:
        trainings = dict(zip(NAMES, owners, strict=True))
        traders, round_ = play(trainings, Path(folder), "smollm2-lora", architecture(), say=say)
    plain = {domain: perplexity(Owner(domain, 0), Owner(domain, 0).build_model().weights) for domain in DOMAINS}
    measured = [
        Measured(trader, owner.domain, plain[owner.domain], *(perplexity(owner, each) for each in stages(trader)))
        for trader, owner in zip(traders, owners, strict=True)
    ]
    return measured, round_


def stages(trader: Trader) -> tuple[Weights, Weights, Weights]:
    return trader.first, trader.alone, trader.after


def perplexity(owner: Owner, weights: Weights) -> float:
    """On the test sequences of the owner's domain."""
    model = owner.build_model()
    model.load_state_dict(weights)
    return exp(float(owner.evaluate(model, owner.load_data().test).mean()))


def main() -> None:
    measured, _ = run()
    for each in measured:
        trader = each.trader
        print(
            f"{trader.name} ({each.domain}): {each.before:.1f} before, {each.first:.1f} trained, {each.alone:.1f} "
            f"trained on alone, {each.after:.1f} with the market; bought from {', '.join(trader.sellers) or 'nobody'}, "
            f"paid {trader.paid / TOKEN:.2f}, earned {trader.earned / TOKEN:.2f}"
        )
        if len(sys.argv) > 1:
            save(trader.after, Path(sys.argv[1]) / trader.name)


if __name__ == "__main__":
    main()
