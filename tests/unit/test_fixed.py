"""Fixed point against exact fractions."""

from fractions import Fraction

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from market_node.errors import BadInput, MalformedUpdate, OutOfRange
from market_node.fixed import MOST_BITS, from_fixed, to_fixed, update_of

DTYPES = {torch.float32: 32, torch.float16: 16, torch.bfloat16: 16}

int32s = st.integers(-(2**31), 2**31 - 1)
bit_counts = st.integers(0, MOST_BITS)


def nearest(candidates, exact):
    """The candidate nearest to `exact`; of two, the one whose bits are even."""
    return min(candidates, key=lambda w: (abs(Fraction(w.item()) - exact), int(w.view(as_integer(w)).item()) & 1))


def as_integer(tensor):
    return torch.int32 if tensor.dtype == torch.float32 else torch.int16


def neighbours(exact, dtype):
    """Every weight of `dtype` that could be the nearest one to `exact`."""
    guess = torch.tensor(float(exact), dtype=torch.float64).to(dtype)
    bits = guess.view(as_integer(guess))
    near = [(bits + step).view(dtype) for step in (-2, -1, 0, 1, 2)] + [torch.zeros((), dtype=dtype)]
    return [w for w in near if w.isfinite()]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1, max_size=20), bit_counts)
def test_a_weight_becomes_the_nearest_integer_ties_to_even(weights, bits):
    scaled = [round(Fraction(w) * 2**bits) for w in weights]  # a Fraction rounds half to even
    if all(-(2**31) <= s < 2**31 for s in scaled):
        assert to_fixed(torch.tensor(weights), bits).tolist() == scaled
    else:
        with pytest.raises(OutOfRange):
            to_fixed(torch.tensor(weights), bits)


def test_halves_go_to_the_even_side():
    halves = torch.tensor([0.5, 1.5, 2.5, -0.5, -1.5, -2.5])
    assert to_fixed(halves, 0).tolist() == [0, 2, 2, 0, -2, -2]


@settings(max_examples=300, deadline=None)
@given(int32s, bit_counts, st.sampled_from(list(DTYPES)))
def test_an_integer_becomes_the_nearest_weight_ties_to_even(fixed, bits, dtype):
    exact = Fraction(fixed, 2**bits)
    if abs(exact) > torch.finfo(dtype).max:
        return
    weight = from_fixed(torch.tensor([fixed], dtype=torch.int32), dtype, bits)[0]
    assert weight.item() == nearest(neighbours(exact, dtype), exact).item()


@pytest.mark.parametrize(("dtype", "kept"), [(torch.float16, 11), (torch.bfloat16, 8)])
@pytest.mark.parametrize(("halves", "beside", "rounded"), [(1, 1, 1), (3, -1, 1)], ids=["above a tie", "below a tie"])
def test_sixteen_bits_are_rounded_once_and_not_by_way_of_float32(dtype, kept, halves, beside, rounded):
    half = 1 << (30 - kept)
    fixed = (1 << 30) + halves * half + beside  # float32 loses the last bit, and what is left is a tie
    once = from_fixed(torch.tensor([fixed]), dtype, 26).item()
    assert once == ((1 << 30) + rounded * 2 * half) / 2**26
    assert torch.tensor(fixed / 2**26, dtype=torch.float64).to(dtype).item() != once, "no trap is left here"


@pytest.mark.parametrize("dtype", list(DTYPES))
def test_every_weight_survives_the_way_there_and_back(dtype):
    kept = {torch.float32: 24, torch.float16: 11, torch.bfloat16: 8}[dtype]
    weights = (torch.arange(-(2**kept), 2**kept + 1, max(1, 2 ** (kept - 12))) / 2**kept).to(dtype)
    assert torch.equal(from_fixed(to_fixed(weights), dtype), weights)


def test_the_ends_of_the_range_are_inside():
    ends = torch.tensor([-128.0, 128.0 - 2**-17])
    assert to_fixed(ends).tolist() == [-(2**31), 2**31 - 128]
    assert to_fixed(torch.tensor([2.0**31 - 1], dtype=torch.float64), 0).tolist() == [2**31 - 1]


@pytest.mark.parametrize("weight", [128.0, -128.1, 1e30])
def test_out_of_range_names_tensor_weight_and_range(weight):
    with pytest.raises(OutOfRange, match=r"'layer\.weight' holds .* from -128 to 128"):
        to_fixed(torch.tensor([0.0, weight]), name="layer.weight")


@pytest.mark.parametrize("weight", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("at", [0, 1 << 18])
def test_a_weight_that_is_not_finite_is_malformed(weight, at):
    weights = torch.zeros((1 << 18) + 5)
    weights[at] = weight
    with pytest.raises(MalformedUpdate, match=r"'layer\.weight' .* NaN or infinite"):
        to_fixed(weights, name="layer.weight")


def test_integers_are_no_weights():
    with pytest.raises(MalformedUpdate, match="int64"):
        to_fixed(torch.tensor([1]))


def test_what_float16_cannot_hold_is_out_of_range():
    with pytest.raises(OutOfRange, match="float16"):
        from_fixed(torch.tensor([2**31 - 1]), torch.float16, 0)


def test_integers_past_float64_are_out_of_range():
    with pytest.raises(OutOfRange, match=r"2\*\*53"):
        from_fixed(torch.tensor([2**53 + 1]), torch.float32)


def test_shape_and_layout_are_kept():
    weights = torch.randn(3, 5, 7).transpose(0, 2)
    fixed = to_fixed(weights)
    assert fixed.shape == weights.shape
    assert fixed.dtype == torch.int32
    assert torch.equal(fixed, to_fixed(weights.contiguous()))
    assert torch.equal(from_fixed(fixed, torch.float32), from_fixed(fixed.contiguous(), torch.float32))


def test_long_tensors_match_short_ones():
    weights = torch.randn(1_200_000)
    fixed = to_fixed(weights)
    assert torch.equal(fixed, torch.cat([to_fixed(part) for part in weights.split(77_777)]))
    back = from_fixed(fixed, torch.bfloat16)
    assert torch.equal(back, torch.cat([from_fixed(part, torch.bfloat16) for part in fixed.split(77_777)]))


def test_an_empty_tensor_stays_empty():
    assert from_fixed(to_fixed(torch.empty(0, 3)), torch.float16).shape == (0, 3)


def test_an_update_has_room_for_both_extremes():
    most, least = (torch.tensor([x], dtype=torch.int32) for x in (2**31 - 1, -(2**31)))
    assert update_of(most, least).tolist() == [2**32 - 1]
    assert update_of(least, most).tolist() == [-(2**32) + 1]


@pytest.mark.parametrize("bits", [-1, 31])
def test_a_quantum_that_no_task_can_have_is_refused(bits):
    with pytest.raises(BadInput, match="0 to 30"):
        to_fixed(torch.zeros(1), bits)
    with pytest.raises(BadInput, match="0 to 30"):
        from_fixed(torch.zeros(1, dtype=torch.int32), torch.float32, bits)
