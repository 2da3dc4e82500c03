"""How long it takes to audit a large round whose logs are read, on one core: prices, credits and its graph's weights.

python -m benchmarks.audit
"""

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from random import Random
from statistics import median

from benchmarks.document import TREE, machine, table, write
from market_node.audit import Trail, audit
from market_node.records import LEAST_REPUTATION, ONE, Bid, Model, Participant, Reveal, Round, Terms
from market_node.settlement import payout, row_weights, settle

TOKEN = 10**18
RUNS = 5
SIZES = ((1024, 8), (256, 32), (100, 8))
"""(participants, the most sellers in a row)."""


@dataclass
class Figures:
    """What one process measured."""

    recomputed: int
    """Prices, credits and reputations."""
    graph: int
    """Edges whose weights were recomputed."""
    audit: float
    """Seconds."""
    weights: float
    """Seconds."""
    memory: float
    """MiB at the highest."""


def round_of(n: int, max_sellers: int) -> tuple[Round, Trail]:
    """A round that was settled and paid rightly. All models are alike, so that each buyer looks at every seller."""
    rng = Random(n)
    base = [rng.randint(-60, 60) for _ in range(1024)]
    participants = tuple(_participant(rng, base, index) for index in range(n))
    terms = Terms(
        task=bytes(32),
        fee=TOKEN,
        reveal_bond=10 * TOKEN,
        bond=160 * TOKEN,
        max_samples=6_400,
        similarity_floor=ONE // 10,
        max_sellers=max_sellers,
        max_participants=n,
        commit_deadline=0,
        draw_time=3_600,
        reveal_time=3_600,
        settle_time=3_600,
        challenge_time=3_600,
        refute_time=3_600,
    )
    round_ = Round(1, _account(n), terms, bytes(32), participants, bytes(32), tuple(range(n)))
    settled = replace(round_, settlement=settle(round_, frozenset()))
    assert settled.settlement is not None
    due = payout(settled, settled.settlement)
    used = [(index, each.reveal.reputation) for index, each in enumerate(participants) if each.reveal]
    return settled, Trail(
        credits={each.account: credit for each, credit in zip(participants, due.credits, strict=True)},
        paid=frozenset(range(n)),
        burnt=due.burnt,
        aggregator=due.aggregator,
        reputations=tuple((index, reputation, reputation) for index, reputation in used),
    )


def _participant(rng: Random, base: list[int], index: int) -> Participant:
    sketch = bytes((x + rng.randint(-60, 60)) & 0xFF for x in base)
    bid = Bid(
        rng.randrange(50 * TOKEN, 100 * TOKEN), rng.randrange(TOKEN // 2, 2 * TOKEN), rng.randrange(100, 6_000), 0
    )
    model = Model(rng.randbytes(32), rng.randbytes(32))
    reveal = Reveal(bid, rng.randint(LEAST_REPUTATION, ONE), model, sketch)
    return Participant(_account(index), 160 * TOKEN, rng.randbytes(32), model, rng.randbytes(32), reveal)


def _account(index: int) -> str:
    return f"0x{index + 1:040x}"


def measure(n: int, max_sellers: int) -> Figures:
    """One audit, in this process."""
    round_, trail = round_of(n, max_sellers)
    start = time.perf_counter()
    done = audit(round_, trail)
    audited = time.perf_counter()
    assert done.findings == () and round_.settlement is not None
    weights = row_weights(round_, round_.settlement)
    end = time.perf_counter()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    recomputed = done.prices + done.credits + done.reputations
    return Figures(recomputed, sum(map(len, weights.values())), audited - start, end - audited, peak)


def _apart(n: int, max_sellers: int) -> Figures:
    """The same in a process of its own, so that its memory is its own, with one thread."""
    run = subprocess.run(
        [sys.executable, "-m", "benchmarks.audit", str(n), str(max_sellers)],
        cwd=TREE,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        check=True,
    )
    return Figures(**json.loads(run.stdout))


def main() -> None:
    if len(sys.argv) > 1:
        print(json.dumps(vars(measure(*map(int, sys.argv[1:])))))
        return
    rows = []
    for n, max_sellers in SIZES:
        runs = [_apart(n, max_sellers) for _ in range(RUNS)]
        each = [run.audit + run.weights for run in runs]
        rows.append(
            [
                n,
                max_sellers,
                f"{runs[0].recomputed:,}",
                f"{runs[0].graph:,}",
                f"{median(run.audit for run in runs):.1f}",
                f"{median(each):.1f}",
                f"{min(each):.1f} … {max(each):.1f}",
                f"{max(run.memory for run in runs):,.0f}",
            ]
        )
        print(*rows[-1], flush=True)
    head = [
        *("participants", "most sellers a row", "figures recomputed", "edges of the graph", "audit, s"),
        *("audit and graph, s", "fastest … slowest", "peak memory, MiB"),
    ]
    text = (
        "`make bench`: a round whose logs are read, on one core; every model is like every other, so that each buyer "
        f"looks at every seller. Medians of {RUNS} runs, each in a process of its own. {machine()}."
        f"\n\n{table(head, rows)}"
    )
    write("docs/benchmarks.md", "audit", text)


if __name__ == "__main__":
    main()
