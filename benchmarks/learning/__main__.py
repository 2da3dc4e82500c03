"""The command line: see the package."""

import argparse
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor

from benchmarks.document import write
from market_node.errors import BadInput

from . import plots, tables, tune
from .methods import CHECKS, METHODS
from .runs import Result, play
from .settings import FASHION, OTHERS, OWNERS, PAPER, RULED, Setting, crowds

DOCUMENT = "docs/benchmarks.md"

COUNTS = (5, 10, 20, 50, 100)

Job = tuple[Setting, str, int]
Trial = tuple[Setting, str, int, tune.Knobs]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learning", description=__doc__)
    parser.add_argument("what", choices=("table", "paper", "size", "owners", "rules", "rates", "tune"))
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--long", action="store_true", help="50 rounds of 200 steps, as the paper's; for a GPU's day")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--only", default="", help="settings whose names hold this")
    parser.add_argument("--most", type=int, default=COUNTS[-1], help="participants, of size")
    parser.add_argument("--print", action="store_true", help="write no document")
    options = parser.parse_args()
    match options.what:
        case "table":
            chosen = _chosen([*FASHION, *OTHERS], options)
            noisy = [setting for setting in chosen if "600" in setting.name]
            jobs = [*_jobs(chosen, METHODS, options.seeds), *_jobs(noisy, CHECKS, options.seeds)]
            runs = run(jobs, options.jobs)
            names = [setting.name for setting in chosen]
            show("learning-table", tables.report(runs, names), options)
            if not options.print:
                plots.bars(runs, names, "learning")
        case "paper":
            runs = run(_jobs([PAPER], METHODS, options.seeds), options.jobs)
            show("learning-paper", tables.paper_report(runs, PAPER.name), options)
        case "size":
            counts = {count: _chosen(crowds(count), options) for count in COUNTS if count <= options.most}
            jobs = [job for count, settings in counts.items()
                    for job in _jobs(settings, ("local", "market"), seeds_of(count, options.seeds))]  # fmt: skip
            runs = run(jobs, options.jobs)
            by_name = {count: [setting.name for setting in settings] for count, settings in counts.items()}
            show("learning-size", tables.crowd_report(runs, by_name), options)
            if not options.print:
                plots.curve(runs, by_name, "participants")
        case "owners":
            methods = ("local", "FedAvg + fine-tuning", "market")
            chosen = _chosen(OWNERS, options)
            runs = run(_jobs(chosen, methods, options.seeds), options.jobs)
            rounds = {setting.name: setting.rounds for setting in chosen}
            show("learning-owners", tables.owners_report(runs, rounds, methods[1:]), options)
        case "rules":
            chosen = _installed(RULED)
            trials = {(name, setting.name, seed): (setting, method, seed, knobs)
                      for seed in range(options.seeds) for setting in chosen
                      for name, (method, knobs) in {"local": ("local", {}), **tune.rules()}.items()}  # fmt: skip
            found = dict(zip(trials, _run_all(trials.values(), options.jobs), strict=True))
            runs = {(setting, name, seed): result for (name, setting, seed), result in found.items()}
            names = [setting.name for setting in chosen]
            show("learning-rules", tables.rules_report(runs, names, list(tune.rules())), options)
        case "tune":
            jobs: list[Trial] = [(s, m, seed, k) for m, trials in tune.TRIALS.items() for k in trials
                    for s in tune.SETTINGS for seed in tune.SEEDS]  # fmt: skip
            jobs += [(s, "local", seed, {}) for s in tune.SETTINGS for seed in tune.SEEDS]
            _run_all(jobs, options.jobs)
            tune.choose(play)
        case "rates":
            kinds = [kind for kind in tune.RATES if _installed(tune.of(kind))]
            _run_all(tune.rate_trials(kinds), options.jobs)
            show("learning-rates", tune.rates(play, kinds), options)


def seeds_of(count: int, most: int) -> int:
    """Fewer clients, more seeds: a mean over five says little, and so does a deviation of two."""
    return min(most, max(3, 50 // count))


def _run_all(jobs: Iterable[Trial], processes: int) -> list[Result]:
    os.environ["OMP_NUM_THREADS"] = "1"  # networks this small only wait for a second thread
    with ProcessPoolExecutor(processes) as pool:
        return list(pool.map(_play, jobs))


def _chosen(settings: Iterable[Setting], options: argparse.Namespace) -> list[Setting]:
    found = [setting for setting in settings if options.only in setting.name]
    return [setting.long for setting in found] if options.long else found


def _jobs(settings: list[Setting], methods: Iterable[str], seeds: int) -> Iterator[Job]:
    """Seed after seed, so that a table that is stopped has few whole ones."""
    names = list(methods)
    return ((setting, method, seed) for seed in range(seeds) for setting in settings for method in names)


def run(jobs: Iterable[Job], processes: int) -> tables.Runs:
    """Every job's result."""
    wanted = list(jobs)
    there = {setting.name for setting in _installed({job[0].name: job[0] for job in wanted}.values())}
    wanted = [job for job in wanted if job[0].name in there]
    found = _run_all([(*job, tune.tuned(job[1])) for job in wanted], processes)
    return {(s.name, m, seed): result for (s, m, seed), result in zip(wanted, found, strict=True)}


def _installed(settings: Iterable[Setting]) -> list[Setting]:
    """Those whose data are there. Others are left out, and said."""
    there = []
    for setting in settings:
        try:
            setting.deal(0)
        except BadInput as error:
            print(f"{setting.name} is left out: {error}")
        else:
            there.append(setting)
    return there


def _play(job: Trial) -> Result:
    return play(*job)


def show(name: str, text: str, options: argparse.Namespace) -> None:
    """Prints, and writes unless told not to. Part of the settings, or other lengths, are never written."""
    print(text)
    if not (options.print or options.only or options.long):
        write(DOCUMENT, name, text)


if __name__ == "__main__":
    main()
