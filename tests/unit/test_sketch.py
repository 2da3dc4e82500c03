"""Sketches against a ChaCha20 and a count sketch written out in plain Python."""

import hashlib
import time
from itertools import pairwise
from math import isqrt
from random import Random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from market_node.errors import BadInput, MalformedUpdate
from market_node.sketch import (
    MOST_WEIGHTS,
    _cosines,
    cosine,
    count_sketch,
    fingerprint,
    scale,
    similarity,
    similarity_to,
    sketch,
)

SEED = hashlib.sha256(b"round 7").digest()
SIZE = 1024

seeds = st.binary(min_size=32, max_size=32)
weights = st.lists(st.integers(-(2**32), 2**32), min_size=1, max_size=80)
signed = st.integers(-127, 127)


def quarter_round(s, a, b, c, d):
    for x, y, z, turn in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
        s[x] = (s[x] + s[y]) & 0xFFFFFFFF
        s[z] ^= s[x]
        s[z] = ((s[z] << turn) | (s[z] >> (32 - turn))) & 0xFFFFFFFF


def chacha20_block(key, counter, nonce):
    """RFC 8439, 2.3."""
    words = [0x61707865, 0x3320646E, 0x79622D32, 0x6B206574]
    words += [int.from_bytes(key[i : i + 4], "little") for i in range(0, 32, 4)]
    words += [counter] + [int.from_bytes(nonce[i : i + 4], "little") for i in range(0, 12, 4)]
    s = list(words)
    for _ in range(10):
        for column in range(4):
            quarter_round(s, column, column + 4, column + 8, column + 12)
        for i, (a, b, c, d) in enumerate(((0, 5, 10, 15), (1, 6, 11, 12), (2, 7, 8, 13), (3, 4, 9, 14))):
            assert a == i
            quarter_round(s, a, b, c, d)
    return b"".join(((x + y) & 0xFFFFFFFF).to_bytes(4, "little") for x, y in zip(s, words, strict=True))


def slow_count_sketch(values, seed, start=0):
    sums = [0] * SIZE
    for k, value in enumerate(values, start):
        counter, offset = divmod(2 * k, 64)
        word = int.from_bytes(chacha20_block(seed, counter, bytes(12))[offset : offset + 2], "little")
        sums[word & 1023] += -value if word >> 15 else value
    return sums


def slow_scale(sums):
    largest = max(abs(x) for x in sums)
    return bytes((int(np.sign(x)) * (127 * abs(x) // largest)) & 0xFF if largest else 0 for x in sums)


def slow_cosine(a, b):
    """DESIGN, "Integers", to the letter."""
    a, b = ([x - 256 if x > 127 else x for x in v] for v in (a, b))
    dot = sum(x * y for x, y in zip(a, b, strict=True))
    norms = sum(x * x for x in a) * sum(x * x for x in b)
    return isqrt((max(0, dot) ** 2 << 32) // norms) if norms else 0


def slow_similarity(a, b, floor):
    cos = slow_cosine(a, b)
    return ((cos - floor) << 16) // (2**16 - floor) if cos > floor else 0


def random_update(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-(2**25), 2**25, (count,), generator=generator)


def random_sketches(n, seed=0):
    """Half noise, half leaning one way, so that cosines of both signs and sizes occur."""
    rng = np.random.default_rng(seed)
    rows = rng.normal(0, 30, (n, SIZE)) + rng.normal(0, 30, SIZE) * rng.uniform(-0.2, 1, (n, 1))
    return [row.clip(-127, 127).astype(np.int8).tobytes() for row in rows]


def as_sketch(values):
    return np.array(values + [0] * (SIZE - len(values)), np.int8).tobytes()


def test_the_slow_chacha20_gives_the_block_of_rfc_8439():
    block = chacha20_block(bytes(range(32)), 1, bytes.fromhex("000000090000004a00000000"))
    assert block.hex() == (
        "10f1e7e4d13b5915500fdd1fa32071c4c7d1f4c733c068030422aa9ac3d46c4e"
        "d2826446079faa0914c2d705d98b02a2b5129cd1de164eb9cbd083e8a2503c4e"
    )


@settings(max_examples=25, deadline=None)
@given(weights, seeds, st.integers(0, MOST_WEIGHTS - 80))
def test_a_count_sketch_matches_the_double_loop(values, seed, start):
    sums = count_sketch(torch.tensor(values), seed, start=start)
    assert sums.tolist() == slow_count_sketch(values, seed, start)


@pytest.mark.parametrize("start", [0, 1, 31, 32, 33, 2**32, MOST_WEIGHTS - 40])
def test_the_keystream_is_entered_at_the_right_block(start):
    values = list(range(1, 41))
    sums = count_sketch(torch.tensor(values), SEED, start=start)
    assert sums.tolist() == slow_count_sketch(values, SEED, start)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 3_000_000), max_size=4), st.integers(0, 2**36))
def test_the_sketches_of_the_pieces_add_up(cuts, start):
    update = random_update(3_000_000)
    edges = [0, *sorted(cuts), len(update)]
    pieces = [count_sketch(update[a:b], SEED, start=start + a) for a, b in pairwise(edges)]
    assert torch.equal(torch.stack(pieces).sum(0), count_sketch(update, SEED, start=start))


def test_a_count_sketch_is_linear():
    ada, bob = random_update(5000, 1), random_update(5000, 2)
    combined = count_sketch(3 * ada - 65536 * bob, SEED)
    assert torch.equal(combined, 3 * count_sketch(ada, SEED) - 65536 * count_sketch(bob, SEED))


def test_the_bytes_do_not_depend_on_the_number_of_threads():
    before, taken = torch.get_num_threads(), set()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            taken.add(sketch(random_update(2_500_000), SEED))
    finally:
        torch.set_num_threads(before)
    assert len(taken) == 1


def test_shape_dtype_and_layout_do_not_matter():
    update = random_update(600)
    expected = sketch(update, SEED)
    assert sketch(update.to(torch.int32).reshape(20, 30), SEED) == expected
    assert sketch(update.reshape(20, 30).t().contiguous().t(), SEED) == expected


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(-(2**63) + 1, 2**63 - 1), min_size=1, max_size=30))
def test_scaling_rounds_toward_zero(values):
    sums = values + [0] * (SIZE - len(values))
    assert scale(torch.tensor(sums)) == slow_scale(sums)


def test_a_zero_update_has_a_zero_sketch():
    assert sketch(torch.zeros(100, dtype=torch.int64), SEED) == bytes(SIZE)


def test_no_sketch_has_a_byte_of_minus_128():
    update = torch.full((50,), -(2**32))
    taken = sketch(update, SEED)
    assert min(np.frombuffer(taken, np.int8)) == -127


def test_another_seed_is_another_sketch():
    update = random_update(1000)
    assert sketch(update, SEED) != sketch(update, bytes(32))


def test_a_fingerprint_is_the_sketch_under_the_tasks_seed():
    update, task = random_update(1000), bytes(range(32))
    seed = hashlib.sha256(b"market-node fingerprint" + task).digest()
    assert fingerprint(update, task) == sketch(update, seed)


def test_cosines_of_sketches_are_near_those_of_updates():
    ada, noise = random_update(40_000, 1), random_update(40_000, 2)
    bob = ada + noise
    exact = torch.nn.functional.cosine_similarity(ada.double(), bob.double(), dim=0).item()
    assert cosine(sketch(ada, SEED), sketch(bob, SEED)) / 2**16 == pytest.approx(exact, abs=0.1)


@settings(max_examples=60, deadline=None)
@given(st.lists(signed, max_size=20), st.lists(signed, max_size=20))
def test_a_cosine_matches_the_formula(a, b):
    a, b = as_sketch(a), as_sketch(b)
    assert cosine(a, b) == slow_cosine(a, b) == cosine(b, a)


def test_a_sketch_has_cosine_one_with_itself():
    (ada,) = random_sketches(1)
    assert cosine(ada, ada) == 2**16


def test_the_largest_sketches_do_not_overflow():
    loud = np.full(SIZE, 127, np.int8).tobytes()
    quiet = np.full(SIZE, -127, np.int8).tobytes()
    assert similarity([loud, loud, quiet], 0) == [[2**16, 2**16, 0], [2**16, 2**16, 0], [0, 0, 2**16]]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(signed, max_size=6), max_size=5), st.integers(0, 2**16 - 1))
def test_similarity_matches_the_formula(vectors, floor):
    sketches = [as_sketch(v) for v in vectors]
    assert similarity(sketches, floor) == [[slow_similarity(a, b, floor) for b in sketches] for a in sketches]


def test_similarity_of_lifelike_sketches_matches_the_formula():
    sketches, floor = random_sketches(25), 6554
    matrix = similarity(sketches, floor)
    assert matrix == [[slow_similarity(a, b, floor) for b in sketches] for a in sketches]
    assert {0, 2**16} < {s for row in matrix for s in row}, "both ends occur, and something between"


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(-128, 127), max_size=9), max_size=6), st.sampled_from([0, 6554, 2**16 - 1]))
def test_similarity_of_any_bytes_matches_the_formula(vectors, floor):
    """Few coordinates: cosines that are rational, so that the quotient is an integer or just beside one."""
    sketches = [as_sketch(v) for v in vectors]
    expected = [[slow_similarity(a, b, floor) for b in sketches] for a in sketches]
    assert similarity(sketches, floor) == expected
    assert [similarity_to(own, sketches, floor) for own in sketches] == expected


def test_a_cosine_just_below_an_integer_is_not_rounded_up():
    """Products and norms made for it, of sizes that sketches have: a fiftieth of them, float64 alone gets wrong."""
    rng = Random(1)
    products, squares = [], []
    while len(products) < 5_000:
        cosine, product = rng.randrange(2**15, 2**16), rng.randrange(2**22, 2**24)
        square = -(-(product**2 << 32) // cosine**2)
        if square <= 2**48:
            products.append(product)
            squares.append(square)
    exact = [isqrt((p * p << 32) // s) for p, s in zip(products, squares, strict=True)]
    arrays = np.array(products, np.float64), np.array(squares, np.float64)
    assert _cosines(*arrays).tolist() == exact
    assert np.floor(arrays[0] * 2**16 / np.sqrt(arrays[1])).tolist() != exact


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 127), st.integers(1, 127), st.integers(1, 1024), st.integers(1, 1024))
def test_cosines_of_flat_sketches_match_the_formula(a, b, many, few):
    first, second = as_sketch([a] * many), as_sketch([b] * few)
    assert cosine(first, second) == slow_cosine(first, second)


def test_nobody_is_similar_to_a_zero_sketch():
    ada, *_ = random_sketches(1)
    assert similarity([ada, bytes(SIZE)], 0) == [[2**16, 0], [0, 0]]


def test_a_cosine_at_the_floor_counts_as_none():
    a, b = random_sketches(2, seed=3)
    cos = cosine(a, b)
    assert cos > 0
    assert similarity([a, b], cos)[0][1] == 0
    assert similarity([a, b], cos - 1)[0][1] == (1 << 16) // (2**16 - cos + 1)


def test_a_row_is_the_matrix_one():
    sketches = random_sketches(20)
    assert [similarity_to(own, sketches, 6554) for own in sketches] == similarity(sketches, 6554)


def test_a_byte_of_minus_128_is_taken_as_it_is():
    """The contract lets it be revealed: were it refused here, one account could keep everybody from settling."""
    loud, plain = bytes([0x80]) * SIZE, bytes([0x40]) + bytes(SIZE - 1)
    assert similarity([loud, plain], 0)[0] == [2**16, 0]
    assert similarity([loud, loud], 0)[0] == [2**16, 2**16]
    assert similarity_to(loud, [loud, plain], 0) == [2**16, 0]


def test_a_full_round_is_compared_within_seconds():
    sketches = random_sketches(1024)
    began = time.process_time()
    similarity(sketches, 0)
    assert time.process_time() - began < 3


@pytest.mark.parametrize("bad", [bytes(1023), bytes(1025), b""])
def test_what_is_no_sketch_is_refused(bad):
    good = bytes(SIZE)
    with pytest.raises(MalformedUpdate):
        similarity([good, bad], 0)
    with pytest.raises(MalformedUpdate):
        cosine(good, bad)


@pytest.mark.parametrize("floor", [-1, 2**16])
def test_a_floor_outside_its_range_is_refused(floor):
    with pytest.raises(BadInput):
        similarity([], floor)


def test_floats_and_short_seeds_and_far_coordinates_are_refused():
    with pytest.raises(BadInput, match="float32"):
        count_sketch(torch.zeros(3), SEED)
    with pytest.raises(BadInput, match="32 bytes"):
        count_sketch(torch.zeros(3, dtype=torch.int64), SEED[:16])
    with pytest.raises(BadInput, match="coordinates"):
        count_sketch(torch.zeros(3, dtype=torch.int64), SEED, start=MOST_WEIGHTS - 2)
