"""Drawn updates have the likeness that a scenario states, and are quantised as true ones."""

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file

from market_node.errors import BadInput
from market_node.simulation.sketches import Likeness, drawn, quantised, recorded
from market_node.sketch import scale

LIKENESS = Likeness(within=0.5, across=0.2, own=0.4)
OWNERS = [(number, number % 2) for number in range(40)]


def cosines(sketches: list[bytes], others: list[bytes]) -> np.ndarray:
    a, b = (np.frombuffer(b"".join(each), np.int8).reshape(-1, 1024).astype(float) for each in (sketches, others))
    return (a / np.linalg.norm(a, axis=1, keepdims=True)) @ (b / np.linalg.norm(b, axis=1, keepdims=True)).T


def mean_cosines(seed: int) -> tuple[float, float]:
    """Within and across clusters."""
    sketches = drawn(LIKENESS, seed, 1, OWNERS)
    table = cosines(sketches, sketches)
    alike = np.array([[a % 2 == b % 2 for a, _ in OWNERS] for b, _ in OWNERS])
    return float(table[alike & ~np.eye(40, dtype=bool)].mean()), float(table[~alike].mean())


def test_mean_cosines_are_the_stated_ones():
    within, across = np.mean([mean_cosines(seed) for seed in range(20)], axis=0)
    assert within == pytest.approx(0.5, abs=0.015)
    assert across == pytest.approx(0.2, abs=0.015)


def test_what_is_an_owners_own_stays_from_round_to_round():
    table = cosines(drawn(LIKENESS, 3, 1, OWNERS), drawn(LIKENESS, 3, 2, OWNERS))
    assert float(table.diagonal().mean()) == pytest.approx(0.5 + 0.4 * 0.5, abs=0.03)


def test_a_sketch_depends_on_nobody_else():
    together = dict(zip(OWNERS, drawn(LIKENESS, 3, 1, OWNERS), strict=True))
    for owner in reversed(OWNERS[:5]):
        assert drawn(LIKENESS, 3, 1, [owner]) == [together[owner]]


def test_under_another_seed_updates_are_as_alike_but_for_other_errors():
    first, again = (
        cosines(each, each) for each in (drawn(LIKENESS, 3, 1, OWNERS), drawn(LIKENESS, 3, 1, OWNERS, again=True))
    )
    within = np.array([[a % 2 == b % 2 and a < b for a, _ in OWNERS] for b, _ in OWNERS])
    assert float(again[within].mean()) == pytest.approx(float(first[within].mean()), abs=0.06)
    assert abs(np.corrcoef(first[within], again[within])[0, 1]) < 0.2


def test_seeds_rounds_and_owners_differ():
    one = drawn(LIKENESS, 3, 1, OWNERS[:2])
    assert len({*one, *drawn(LIKENESS, 4, 1, OWNERS[:2]), *drawn(LIKENESS, 3, 2, OWNERS[:2])}) == 6


def test_quantised_as_the_sketches_of_true_updates():
    rng = Random(5)
    rows = [[rng.randint(-(10**6), 10**6) for _ in range(1024)] for _ in range(5)] + [[0] * 1024]
    quick = quantised(np.array(rows, np.int64))
    assert [row.tobytes() for row in quick] == [scale(torch.tensor(row)) for row in rows]


@pytest.mark.parametrize("suffix", [".npz", ".safetensors"])
def test_a_recorded_run_is_used_in_turn(tmp_path: Path, suffix: str):
    run = np.random.default_rng(1).integers(-127, 128, (2, 3, 1024)).astype(np.int8)
    path = tmp_path / f"run{suffix}"
    np.savez(path, sketches=run) if suffix == ".npz" else save_file({"sketches": run}, path)
    assert recorded(path, 2, [(0, 0), (4, 0)]) == [run[1, 0].tobytes(), run[1, 1].tobytes()]
    assert recorded(path, 3, [(0, 0)]) == [run[0, 0].tobytes()]


@pytest.mark.parametrize(
    "arrays",
    [
        {"other": np.zeros((1, 1, 1024), np.int8)},
        {"sketches": np.zeros((1, 1, 1024), np.int16)},
        {"sketches": np.zeros((1, 1, 1023), np.int8)},
        {"sketches": np.zeros((1, 1024), np.int8)},
        {"sketches": np.zeros((0, 1, 1024), np.int8)},
        {"sketches": np.full((1, 1, 1024), -128, np.int8)},
        {"sketches": np.array([[[object()]]])},
    ],
)
def test_a_file_that_is_no_recorded_run(tmp_path: Path, arrays: dict[str, np.ndarray]):
    np.savez(tmp_path / "run.npz", **arrays)
    with pytest.raises(BadInput, match=r"run\.npz"):
        recorded(tmp_path / "run.npz", 1, [(0, 0)])
