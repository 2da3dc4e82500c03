"""What a campaign of the crowd in tests/contracts/invariants came to: python -m benchmarks.fuzz

INVARIANT_RUNS, INVARIANT_DEPTH and FUZZ_SEED, which hardhat.config.js reads, set how long it is and its course. One as
long as the tests' own is reported beside them, in their README, and a longer one in docs/benchmarks.md.
"""

import json
import os
import subprocess
from time import monotonic

from benchmarks.document import TREE, machine, table, write

TEST = "tests/contracts/invariants/MarketInvariants.t.sol"
REPORT = TREE / "cache/campaign.json"
RUNS, DEPTH = 256, 64
"""As in hardhat.config.js."""


def campaign() -> float:
    """Runs it. Returns its seconds, without the compiler's."""
    build = ["npx", "hardhat", "build"]
    test = ["npx", "hardhat", "test", "solidity", TEST]
    subprocess.run(build, cwd=TREE, check=True)
    REPORT.unlink(missing_ok=True)
    start = monotonic()
    subprocess.run(test, cwd=TREE, check=True, env={**os.environ, "CROWD_REPORT": "1"})
    return monotonic() - start


def describe(runs: int, depth: int, seconds: float, seen: dict[str, int]) -> str:
    """The paragraph and table of a document."""
    command = f"INVARIANT_RUNS={runs} INVARIANT_DEPTH={depth} python -m benchmarks.fuzz"
    command = {(RUNS, DEPTH): "python -m benchmarks.fuzz", (10_000, 128): "make fuzz"}.get((runs, depth), command)
    rows = [[name, f"{count:,}"] for name, count in seen.items()]
    return (
        f"`{command}`: {runs:,} runs of {depth} steps, {runs * depth:,} in all, in {seconds / 60:.1f} minutes; no "
        f"claim failed. Seed {os.environ.get('FUZZ_SEED', '0x1')}; {machine()}. What came to pass, without what ends "
        f"each run:\n\n{table(['what', 'times'], rows)}"
    )


def main() -> None:
    runs, depth = int(os.environ.get("INVARIANT_RUNS", RUNS)), int(os.environ.get("INVARIANT_DEPTH", DEPTH))
    seconds = campaign()
    seen = json.loads(REPORT.read_text())
    if seen.pop("runs") < runs:
        raise SystemExit(f"the campaign ended before its {runs} runs")
    text = describe(runs, depth, seconds, seen)
    print(text)
    write("docs/benchmarks.md" if runs * depth > RUNS * DEPTH else "tests/contracts/invariants/README.md", "fuzz", text)


if __name__ == "__main__":
    main()
