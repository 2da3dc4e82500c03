"""The command line: see the package."""

import argparse
from functools import partial

from benchmarks.document import write

from ..settings import PARTITIONS
from .kinds import KINDS
from .runs import play, setting
from .tables import report

SIZES = (60, 200, 600)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning.attackers", description=__doc__)
    parser.add_argument("--samples", default="60", help="of each participant; several with commas")
    parser.add_argument("--kinds", default=";".join(KINDS), help="with semicolons")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", default="", help="partitions whose names hold this")
    parser.add_argument("--print", action="store_true", help="write no document")
    options = parser.parse_args()
    for seed in range(options.seeds):
        for size in options.samples.split(","):
            for name in PARTITIONS:
                if options.only in name:
                    play(setting(name, int(size)), options.kinds.split(";"), seed, partial(print, flush=True))
    text = report(SIZES, options.seeds)
    print(text)
    if not options.print:
        write("docs/benchmarks.md", "attackers", text)


if __name__ == "__main__":
    main()
