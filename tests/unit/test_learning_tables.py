"""The learning tables say what the runs found: paired differences, who loses, what was promised and is missing."""

from dataclasses import replace

import pytest

from benchmarks.learning import tables, tune
from benchmarks.learning.__main__ import seeds_of
from benchmarks.learning.methods import METHODS
from benchmarks.learning.runs import Result
from benchmarks.learning.tables import Points, losers, owners_report, points, promises, report, versus

FIVE = "five classes, 60"


def result(*accuracies, utility=0.0, samples=None):
    count = len(accuracies)
    each = (utility,) * count
    samples = samples or (60,) * count
    notes = {"paid": [1.0] * count, "earned": [2.0] * count}
    return Result(accuracies, samples, each, each, (1,) * count, (1,) * count, 1.0, notes)


def everybody(setting=FIVE, market=(84.0, 80.0), seeds=(0, 1)):
    """Local training reaches 80 for both clients, every baseline 81, in every seed."""
    runs = {(setting, method, seed): result(81.0, 81.0) for method in METHODS for seed in seeds}
    runs |= {(setting, "local", seed): result(80.0, 80.0) for seed in seeds}
    return runs | {(setting, "market", seed): result(*market, utility=1.0) for seed in seeds}


def test_points_are_paired_by_seed():
    runs = everybody()
    runs[FIVE, "local", 1] = result(70.0, 70.0)
    assert points(runs, FIVE, "market").seeds == (2.0, 12.0)


def test_a_seed_without_local_training_does_not_count():
    runs = everybody()
    del runs[FIVE, "local", 1]
    assert points(runs, FIVE, "market").seeds == (2.0,)


def test_the_error_is_the_deviation_over_the_root_of_the_seeds():
    spread = Points((1.0, 3.0, 5.0, 7.0))
    assert spread.deviation == pytest.approx(2.582, abs=1e-3)
    assert spread.error == pytest.approx(spread.deviation / 2)


def test_one_seed_has_no_deviation():
    assert (str(Points((2.0,))), str(Points((2.0, 2.0)))) == ("+2.0", "+2.0 ± 0.0")


def test_of_one_seed_nothing_is_promised_that_needs_an_error():
    said = promises(everybody(market=(82.0, 82.0), seeds=(0,)), [FIVE])
    assert "standard error" not in said and "nan" not in said
    assert "standard error" in promises(everybody(market=(82.0, 82.0)), [FIVE])


def test_losers_are_those_below_local_by_over_a_point():
    assert losers(everybody(market=(84.0, 78.9)), FIVE, "market") == 0.5
    assert losers(everybody(market=(84.0, 79.0)), FIVE, "market") == 0.0


def test_one_training_that_collapses_does_not_move_the_median():
    runs = everybody(market=(84.0, 81.0), seeds=(0, 1, 2))
    runs[FIVE, "local", 2] = result(10.0, 80.0)
    assert tables.middle(runs, FIVE, "market") == (1.0 + 4.0) / 2


def test_the_fewer_participants_the_more_seeds():
    assert [seeds_of(count, most=5) for count in (5, 10, 20, 50, 100)] == [5, 5, 3, 3, 3]
    assert seeds_of(5, most=20) == 10
    assert seeds_of(50, most=1) == 1


def test_the_lead_over_a_baseline_is_paired_too():
    runs = everybody()
    runs[FIVE, "market", 1], runs[FIVE, "FedAvg", 1] = result(94.0, 90.0), result(91.0, 91.0)
    assert versus(runs, FIVE, "FedAvg") == (1.0, 0.0)


def test_a_promise_that_is_missed_says_by_how_much():
    said = promises(everybody(market=(82.0, 82.0)), [FIVE])
    assert "**missed** by 1.00 points: five classes, 60: at least +3 over local" in said
    assert "met: mean of the settings above FedAvg's (+1.00 points)" in said


def test_a_promise_that_is_kept_says_by_how_much():
    assert "met: five classes, 60: at least +3 over local (+0.50 points)" in promises(
        everybody(market=(83.5, 83.5)), [FIVE]
    )


def test_the_report_has_every_method_and_leaves_out_what_is_not_run():
    text = report(everybody(), [FIVE, "clusters, 60"])
    assert all(method in text for method in METHODS)
    assert "clusters" not in text
    assert "| five classes, 60 | 80.0 |" in text and "**+2.0 ± 0.0**" in text


def test_owners_are_told_apart_by_size():
    sizes = (30, 1500)
    runs = {("owners", "local", 0): result(80.0, 90.0, samples=sizes)}
    runs["owners", "market", 0] = result(86.0, 89.5, samples=sizes)
    said = owners_report(runs, {"owners": 1}, ["market"])
    assert "met: owners: owners of at most 120 gain 4 points (+2.00 points)" in said
    assert "**missed** by 0.30 points: owners: owners of over 480 lose at most 0.2" in said


@pytest.mark.parametrize(
    ("bought", "said"),
    [
        (4, "met: owners: and buy at most one model a round (+0.00 models)"),
        (5, "**missed** by 1.00 models: owners: and buy at most one model a round"),
    ],
)
def test_large_owners_are_to_buy_at_most_a_model_a_round(bought, said):
    runs = {("owners", method, 0): result(80.0, 90.0, samples=(30, 1500)) for method in ("local", "market")}
    runs["owners", "market", 0] = replace(runs["owners", "market", 0], bought=(9, bought))
    assert said in owners_report(runs, {"owners": 4}, ["market"])


def test_the_tables_of_owners_and_of_the_paper_say_how_many_seeds_they_are_of():
    for seeds, said in (((0,), "one seed"), ((0, 1, 2), "mean ± deviation over 3 seeds")):
        runs = everybody(seeds=seeds)
        assert said in owners_report(runs, {FIVE: 10}, ["market"])
        assert said in tables.paper_report(runs, FIVE)


def test_what_clients_pay_less_what_they_are_paid_is_beside_ipfls():
    runs = everybody(seeds=(0,))
    notes = {"FedAvg": {}, "iPFL": {"prices": [-1.5, 1.5]}, "market": {"paid": [3.0, 1.0], "earned": [1.0, 3.0]}}
    for method, noted in notes.items():
        runs[FIVE, method, 0] = replace(result(81.0, 81.0), notes=noted)
    lines = tables.paper_report(runs, FIVE).splitlines()
    last = {method: line.split(" | ")[-1] for line in lines for method in notes if line.startswith(f"| {method} |")}
    assert last == {"FedAvg": "– |", "iPFL": "-1.5 to +1.5 |", "market": "-2.0 to +2.0 |"}


def test_more_participants_are_compared_with_few():
    counts = {5: ["five classes, 5 clients"], 50: ["five classes, 50 clients"]}
    runs = everybody(counts[5][0], market=(81.0, 81.0)) | everybody(counts[50][0], market=(83.0, 83.0))
    assert "met: the gain of 50 is above that of 5" in tables.crowd_report(runs, counts)


def test_of_one_seed_each_few_and_many_are_not_compared():
    counts = {5: ["five classes, 5 clients"], 50: ["five classes, 50 clients"]}
    runs = everybody(counts[5][0], seeds=(0,)) | everybody(counts[50][0], seeds=(0,))
    assert "the gain of 50" not in tables.crowd_report(runs, counts)


def test_every_method_is_tuned_with_as_many_trials():
    assert {len(trials) for trials in tune.TRIALS.values()} == {4}


def test_what_the_tables_use_was_tried():
    for method, trials in tune.TRIALS.items():
        assert tune.tuned(method) in trials
