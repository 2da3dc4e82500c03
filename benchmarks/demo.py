"""The demo for several seeds: what it must show, in one table, and the README's picture and session.

python -m benchmarks.demo [SEED ...]
"""

import io
import resource
import sys
import time

from rich.console import Console

from benchmarks.document import TREE, machine, table, write
from market_node.demo import Outcome, run
from market_node.demo_report import draw, show
from market_node.scenario import TOKEN, demo_scenario

SHOWN = 0
"""The seed whose report stands in the README."""


def row(seed: int, outcome: Outcome, seconds: float) -> list[object]:
    """What one seed showed."""
    players = list(zip(outcome.players, outcome.accuracies, strict=True))
    kept = [both for player, both in players if not player.actor.offers_noise]
    buyers = [player for player, _ in players if player.actor.is_buyer and not player.actor.offers_noise]
    honest = [player.earned for player, _ in players if player.actor.is_honest and player.sold]
    noise = max(player.earned for player, _ in players if player.actor.offers_noise)
    paid_in, paid_to = outcome.balance
    alone, after = (sum(each) / len(kept) for each in zip(*kept, strict=True))
    return [
        seed,
        f"{alone:.2f}",
        f"{after:.2f}",
        sum(then < before for _, (before, then) in players),
        f"{sum(player.bought > 0 for player in buyers)} of {len(buyers)}",
        f"{min(honest) / TOKEN:.2f}",
        f"{noise / TOKEN:.2f}",
        sum(audit.prices + audit.credits + audit.reputations for audit in outcome.audits),
        sum(len(audit.findings) for audit in outcome.audits),
        paid_in - paid_to,
        f"{outcome.temptation[0] / TOKEN:.2f}",
        f"{seconds:.0f}",
    ]


def main() -> None:
    rows = []
    for seed in [int(text) for text in sys.argv[1:]] or range(5):
        start = time.perf_counter()
        outcome = run(demo_scenario(seed))
        rows.append(row(seed, outcome, time.perf_counter() - start))
        print(*rows[-1], flush=True)
        if seed == SHOWN:
            printed = Console(file=io.StringIO(), width=112, legacy_windows=False, color_system=None)
            show(outcome, printed, TREE / "docs" / "graph.png")
            assert isinstance(printed.file, io.StringIO)
            report = printed.file.getvalue().split("Gas")[0].rstrip()
            write("README.md", "demo", f"```text\n{report}\n```")
            draw(outcome, TREE / "docs" / "graph.png")
    head = [
        *("seed", "alone, %", "after, %", "lose", "buyers that bought", "least an honest seller earned"),
        *("the free-rider earned", "figures recomputed", "findings", "paid in − paid out, base units"),
        *("largest gain from a false cost", "seconds"),
    ]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    text = (
        f"`make bench`: digits, nine participants, three rounds; amounts in tokens. {machine()}; peak memory "
        f"{peak:,.0f} MiB. Accuracies are means over the eight that trade their own model; *lose* counts all nine."
        f"\n\n{table(head, rows)}"
    )
    write("docs/benchmarks.md", "demo", text)


if __name__ == "__main__":
    main()
