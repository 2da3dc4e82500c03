"""Tries thousands of wrong settlements and false challenges on the real contracts.

    python -m benchmarks.campaign [how many of each] [seed]

Ends with 1 if one wrong settlement stood, or one false challenge did.
"""

import sys

from benchmarks.document import table, write
from tests.campaign import Campaign, outcomes


def main() -> None:
    tried = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    seed = sys.argv[2] if len(sys.argv) > 2 else "1"
    tally = Campaign(seed).run(tried, tried)
    if tally.survived or tally.hurt:
        raise SystemExit(f"NOT CAUGHT: {dict(tally.survived)} stood, {dict(tally.hurt)} hurt a right settlement")
    rows = [[kind.replace("_", " "), f"{count:,}", outcome] for kind, count, outcome in outcomes(tally)]
    reasons = ", ".join(f"`{name}` {count:,}" for name, count in tally.reasons.most_common())
    text = (
        f"`make campaign`: {tally.rounds} random rounds of 2 to 64 participants, seed {seed}. "
        f"{tally.voided.total():,} wrong settlements, each with one thing changed and challenged once by its "
        f"true proof: {tally.voided.total():,} void, and nobody could refute; {tally.survived.total()} stood. "
        f"{tally.reverted.total() + tally.refuted.total():,} false challenges of right settlements: "
        f"{tally.reverted.total():,} reverted, {tally.refuted.total():,} opened and were refuted, "
        f"{tally.hurt.total()} did harm.\n\n"
        f"{table(['what was changed', 'tried', 'what became of it'], rows)}\n\nReverts: {reasons}."
    )
    write("docs/benchmarks.md", "campaign", text)
    print(text)


if __name__ == "__main__":
    main()
