"""LoRA adapters of a small language model, traded by owners of two kinds of text: python -m benchmarks.lora [--both]

With `--both`, once more with A trained as well, to compare.
"""

import resource
import sys
import time
from statistics import mean, stdev

import torch

from benchmarks.document import machine, table, write
from examples.lora.__main__ import Measured, run
from examples.lora.owner import HOLDOUT, LENGTH, PRACTICE, RANK, TEST, TRAINING
from examples.lora.texts import DOMAINS
from market_node.records import ONE, Round
from market_node.sketch import cosine

HEAD = ("trained", "domain", "before", "trained once", "trained on alone", "trained on after the market", "points less")


def rows(what: str, measured: list[Measured]) -> list[list[object]]:
    """One row per domain: means over its owners, and the deviation of what the market gave."""
    found = []
    for domain in DOMAINS:
        own = [each for each in measured if each.domain == domain]
        gains = [each.alone - each.after for each in own]
        figures = [mean(getattr(each, stage) for each in own) for stage in ("before", "first", "alone", "after")]
        found.append([what, domain, *(f"{each:.1f}" for each in figures), f"{mean(gains):.1f} ± {stdev(gains):.1f}"])
    return found


def cosines(round_: Round, measured: list[Measured]) -> tuple[float, float]:
    """Mean cosine of two public sketches: within a domain, and across."""
    found: dict[bool, list[float]] = {True: [], False: []}
    sketches = [each.reveal.sketch for each in round_.participants if each.reveal]
    for i, one in enumerate(measured):
        for j in range(i):
            found[one.domain == measured[j].domain].append(cosine(sketches[i], sketches[j]) / ONE)
    return mean(found[True]), mean(found[False])


def main() -> None:
    lines, said = [], []
    for what, trains_a in [("B", False), ("A and B", True)][: 1 + ("--both" in sys.argv)]:
        start = time.perf_counter()
        measured, round_ = run(trains_a)
        seconds = time.perf_counter() - start
        within, across = cosines(round_, measured)
        right = sum(
            each.trader.sellers != () and all(_domain(name, measured) == each.domain for name in each.trader.sellers)
            for each in measured
        )
        said.append(
            f"{what}: {seconds / 60:.1f} minutes; {right} of {len(measured)} bought from their own domain alone; "
            f"mean cosine of the public sketches {within:.2f} within a domain, {across:.2f} across."
        )
        lines += rows(what, measured)
        print(table(HEAD, lines), said[-1], sep="\n\n", flush=True)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    write(
        "docs/benchmarks.md",
        "lora",
        f"`python -m benchmarks.lora{' --both' if len(said) > 1 else ''}`: six owners of text, three of each domain, "
        f"one round; SmolLM2-135M, adapters of rank {RANK}, {TRAINING} sequences of {LENGTH} tokens each to train on "
        f"and {HOLDOUT} kept back, {PRACTICE.steps} steps of {PRACTICE.batch} before the round and as many after it. "
        f"Perplexity on {TEST} other sequences of the own domain, means over its owners; *points less* is what the "
        f"market gave over training on alone, ± deviation. {machine()}, {torch.get_num_threads()} threads, "
        f"{peak:,.0f} MiB.\n\n{table(HEAD, lines)}\n\n" + "\n".join(said),
    )


def _domain(name: str, measured: list[Measured]) -> str:
    return next(each.domain for each in measured if each.trader.name == name)


if __name__ == "__main__":
    main()
