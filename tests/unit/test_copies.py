"""Copies: what holds nothing new is found, however it is dressed up; what was trained, or is one's own, is not."""

import json
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from market_node.copies import LEAST_WEIGHTS, MOST_UPDATE, Elimination, find_copies, gram
from market_node.errors import BadInput, OutOfRange
from market_node.weights import mapped

WEIGHTS = 44_426
ALICE, BOB, CAROL, DAVE, ERIN, FRANK, MALLORY, MIKE = range(8)
HONEST = (ALICE, BOB, CAROL, DAVE, ERIN, FRANK)


def draw(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def fixed(values):
    return (values * 2**16).round().to(torch.int64)


@cache
def last():
    """The last round's updates, float64: what all have in common, and something of each one's own."""
    return draw(1, WEIGHTS) + 0.7 * draw(2, len(HONEST), WEIGHTS)


def trained(seed=3):
    """This round's: half of the own one and half of the next one's, and something new, partly the same for all."""
    new = draw(seed, WEIGHTS) + draw(seed + 1, len(HONEST), WEIGHTS)
    return (last() + last().roll(1, 0)) / 2 + 0.15 * new


def play(offers, updates=None, **options):
    """Who is found, and by which test, where some offer something else than what they have trained."""
    honest = trained() if updates is None else updates
    updates = {index: fixed(update) for index, update in enumerate(honest)} | {
        index: fixed(update) for index, update in offers.items()
    }
    own = options.pop("own", {index: [index] for index in HONEST})
    return {copy.index: copy for copy in find_copies(updates, [fixed(each) for each in last()], own, **options)}


def found_by(offers, **options):
    return {index: copy.test for index, copy in play(offers, **options).items()}


def bought():
    """What Mallory bought in the last round: from Bob and Carol."""
    return 0.6 * last()[BOB] + 0.4 * last()[CAROL]


def noise(update, level, seed=9):
    return level * update.norm() / WEIGHTS**0.5 * draw(seed, WEIGHTS)


# --- honest ---


@pytest.mark.parametrize("seed", range(3, 13, 2))
def test_what_was_trained_is_no_copy(seed):
    assert play({}, updates=trained(seed)) == {}


def test_alices_own_last_update_offered_again_is_no_copy():
    assert play({ALICE: last()[ALICE]}) == {}


def test_alices_own_with_a_little_noise_is_no_copy():
    own = last()[ALICE]
    assert play({ALICE: own + noise(own, 0.1)}) == {}


def test_an_update_of_zeros_is_no_copy():
    assert play({MALLORY: torch.zeros(WEIGHTS)}) == {}


def test_in_a_first_round_nobody_copies():
    updates = {index: fixed(update) for index, update in enumerate(trained())}
    assert find_copies(updates) == []
    assert find_copies({}) == []


def test_what_a_few_large_weights_hide_is_seen_in_the_many_small_ones():
    """As in trained models, the same few weights have most of what is new in everybody."""
    common, large = draw(50, WEIGHTS), draw(51, WEIGHTS).abs() ** 4
    large *= 0.3 / large.square().mean().sqrt()
    honest = [update + large * draw(60 + index, WEIGHTS) + 0.05 * common for index, update in enumerate(trained())]
    hidden = bought() + large * draw(70, WEIGHTS)
    assert found_by({MALLORY: hidden}, updates=honest) == {MALLORY: "noise"}
    assert found_by({MALLORY: hidden + 0.05 * common}, updates=honest) == {}


def test_who_has_learned_the_opposite_of_others_is_no_copy():
    common = draw(50, WEIGHTS)
    honest = [update + 0.2 * common for update in trained()]
    assert found_by({MALLORY: bought() - 0.2 * common}, updates=honest) == {}


# --- copies ---


@pytest.mark.parametrize(
    "copy",
    [
        lambda: last()[BOB],
        lambda: bought(),
        lambda: 1.5 * last()[BOB],
        lambda: -bought(),
        lambda: 0.25 * last()[BOB] + 0.75 * last()[DAVE],
        lambda: last().mean(dim=0),
        lambda: bought().to(torch.float32).double(),
    ],
    ids=["as it is", "a delivery", "scaled", "turned round", "other shares", "everybody's", "rounded"],
)
def test_what_others_offered_is_a_copy(copy):
    assert found_by({MALLORY: copy()}) == {MALLORY: "span"}


def test_a_copy_with_one_weight_changed_is_a_copy():
    copy = bought()
    copy[7] += 0.02 * copy.abs().max()
    assert found_by({MALLORY: copy}) == {MALLORY: "span"}


def test_others_mixed_into_ones_own_are_a_copy():
    """Who leaves its own out of the span would let this pass."""
    assert found_by({ALICE: 0.5 * last()[ALICE] + 0.5 * last()[BOB]}) == {ALICE: "span"}


@pytest.mark.parametrize("level", [0.1, 0.3, 0.5])
def test_noise_does_not_hide_a_copy(level):
    assert found_by({MALLORY: bought() + noise(bought(), level)}) == {MALLORY: "noise"}


def test_noise_that_grows_with_the_weights_does_not_hide_a_copy():
    """A few large weights have most of it, so that its cosines stray further than those of even noise."""
    heavy = bought() * draw(11, WEIGHTS).abs() ** 4
    copy = bought() + 0.3 * bought().norm() / heavy.norm() * heavy * draw(9, WEIGHTS)
    assert found_by({MALLORY: copy}) == {MALLORY: "noise"}


def test_noise_in_a_few_weights_does_not_hide_a_copy():
    copy = bought()
    copy[-10:] += 0.1 * copy.norm() * draw(9, 10) / 10**0.5
    assert found_by({MALLORY: copy}) == {MALLORY: "noise"}


def test_rounding_to_16_bits_does_not_hide_a_copy():
    assert found_by({MALLORY: bought().to(torch.bfloat16).double()}) == {MALLORY: "noise"}


def test_what_was_a_copy_before_is_not_ones_own():
    assert found_by({BOB: last()[BOB]}, own={}) == {BOB: "span"}


def test_another_accounts_own_is_a_copy_under_mallorys_second_name():
    assert found_by({ALICE: last()[BOB], BOB: last()[ALICE]}) == {ALICE: "span", BOB: "span"}


def test_accomplices_that_share_their_noise_vouch_for_each_other():
    """What no test sees (SECURITY.md): what is new in both is alike, and nobody can say that it is nothing."""
    offers = {index: bought() + noise(bought(), 0.3, seed=9) + noise(bought(), 0.3, seed=index) for index in (6, 7)}
    assert play(offers) == {}


# --- twins ---


def test_of_two_that_are_the_same_the_first_to_commit_stays():
    found = play({MALLORY: 2 * trained()[BOB]})
    assert {index: (copy.test, copy.twin) for index, copy in found.items()} == {MALLORY: ("twin", BOB)}


def test_who_offers_its_own_again_is_no_twin_of_who_copied_it_and_came_first():
    honest = trained()
    offers = {ALICE: last()[BOB], BOB: last()[BOB]}
    assert found_by(offers, updates=honest) == {ALICE: "span"}


def test_twins_do_not_vouch_for_each_other():
    copy = bought() + noise(bought(), 0.3)
    assert found_by({MALLORY: copy, MIKE: copy}) == {MALLORY: "noise", MIKE: "twin"}


# --- where nothing can be said ---


def test_among_few_only_what_holds_nothing_new_is_found():
    some = {index: fixed(trained()[index]) for index in (ALICE, BOB, CAROL)}
    last_ones = [fixed(each) for each in last()]
    hidden = fixed(bought() + noise(bought(), 0.3))
    assert find_copies(some | {MALLORY: hidden}, last_ones) == []
    assert [copy.index for copy in find_copies(some | {MALLORY: fixed(bought())}, last_ones)] == [MALLORY]


def test_of_a_small_model_cosines_say_nothing():
    offered = {**dict(enumerate(trained())), MALLORY: bought() + noise(bought(), 0.3)}

    def found(weights):
        updates = {index: fixed(update[:weights]) for index, update in offered.items()}
        return [copy.index for copy in find_copies(updates, [fixed(each[:weights]) for each in last()])]

    assert (found(LEAST_WEIGHTS), found(LEAST_WEIGHTS - 1)) == ([MALLORY], [])


def test_a_few_weights_are_spanned_by_anything_so_nobody_is_excluded():
    updates = {index: fixed(draw(20 + index, 5)) for index in range(6)}
    assert find_copies(updates, [fixed(draw(30 + index, 5)) for index in range(6)]) == []


# --- evidence ---


def test_the_evidence_has_its_figures():
    copy = play({MALLORY: bought() + noise(bought(), 0.3)})[MALLORY]
    said = json.loads(copy.evidence([7, 6]))
    assert said.keys() == {"test", "rounds", "residual", "cosine", "deviation"}
    assert (said["test"], said["rounds"]) == ("noise", [7, 6])
    assert said["residual"] == pytest.approx(1e6 * 0.3 / 1.09**0.5, rel=0.02)
    assert said["deviation"] == pytest.approx(1e6 / WEIGHTS**0.5, rel=0.05)


# --- exact ---


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 5).flatmap(
        lambda count: st.lists(
            st.lists(st.integers(-MOST_UPDATE, MOST_UPDATE), min_size=count, max_size=count), min_size=1, max_size=4
        )
    ),
    st.integers(1, 4),
)
def test_dot_products_are_python_s(rows, columns):
    expected = [[sum(x * y for x, y in zip(a, b, strict=True)) for b in rows] for a in rows]
    assert gram([torch.tensor(row) for row in rows], columns=columns).tolist() == expected


def test_the_largest_sums_do_not_overflow():
    rows = [torch.full((5000,), MOST_UPDATE), torch.full((5000,), -MOST_UPDATE)]
    square = 5000 * MOST_UPDATE**2
    assert gram(rows, columns=4096).tolist() == [[square, -square], [-square, square]]


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 4))
def test_residuals_are_those_of_fractions(seed, old):
    vectors = np.random.default_rng(seed).integers(-9, 10, (old + 2, 8))
    exact = [[Fraction(int(a @ b)) for b in vectors] for a in vectors]
    for pivot in range(old):
        if exact[pivot][pivot]:
            for row in range(old + 2):
                if row != pivot:
                    share = exact[row][pivot] / exact[pivot][pivot]
                    exact[row] = [x - share * y for x, y in zip(exact[row], exact[pivot], strict=True)]
    lengths = np.sqrt(np.maximum(1, (vectors**2).sum(axis=1)))
    cosines = vectors @ vectors.T / lengths / lengths[:, None]
    left = Elimination(cosines, old).rest * lengths[old:] * lengths[old:, None]
    assert left.ravel().tolist() == pytest.approx([float(x) for row in exact[old:] for x in row[old:]], abs=1e-3)


def test_coefficients_of_a_row_and_of_its_dot_products_are_the_same():
    vectors = draw(5, 8, 40).numpy()
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    left = Elimination(vectors @ vectors.T, 5)
    products = (vectors @ vectors.T)[5:, left.pivots]
    assert left.coefficients_of(products) == pytest.approx(left.coefficients([0, 1, 2]))
    assert left.coefficients_of(products) @ vectors[left.pivots] @ vectors[:5].T == pytest.approx(
        vectors[5:] @ vectors[:5].T
    )


def test_threads_and_files_change_no_figure(tmp_path):
    updates = {index: fixed(update) for index, update in enumerate([*trained(), bought() + noise(bought(), 0.3)])}
    earlier = [fixed(each) for each in last()]
    files = {index: mapped(update, tmp_path / "update") for index, update in updates.items()}
    before, seen = torch.get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            for each in (updates, files):
                seen.add(tuple(copy.evidence([1]) for copy in find_copies(each, earlier)))
    finally:
        torch.set_num_threads(before)
    assert len(seen) == 1 and len(seen.pop()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_mapped_tensor_is_the_same(tmp_path):
    values = torch.tensor([1, -(2**40), 7])
    assert torch.equal(mapped(values, tmp_path / "values"), values)


# --- what is refused ---


@pytest.mark.parametrize("other", [torch.zeros(3), torch.zeros(4, dtype=torch.int64), torch.zeros(1, 3).long()])
def test_rows_that_do_not_fit_are_refused(other):
    with pytest.raises(BadInput, match="one length"):
        find_copies({0: torch.zeros(3, dtype=torch.int64), 1: other})


def test_an_update_that_no_two_models_have_is_out_of_range():
    with pytest.raises(OutOfRange, match="no two models"):
        find_copies({0: torch.tensor([MOST_UPDATE + 1])})


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_the_same():
    offers = {MALLORY: bought() + noise(bought(), 0.3), MIKE: bought()}
    assert found_by(offers, device="cuda") == found_by(offers)
    rows = [fixed(each) << 8 for each in last()]
    assert gram(rows, device="cuda").tolist() == gram(rows).tolist()
