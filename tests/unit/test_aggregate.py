"""Personal models against a double loop over Python's integers."""

import hashlib
import random
from itertools import pairwise
from math import sqrt

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import market_node.aggregate as aggregate_module
from market_node.aggregate import MOST_UPDATE, limited, personal_model, personal_models, squared_length, squared_lengths
from market_node.errors import BadInput, OutOfRange
from market_node.fixed import to_fixed, update_of

ADA, BOB, EVE, CAROL = 3, 5, 8, 17

int32s = st.integers(-(2**31), 2**31 - 1)


def slow_personal_model(base, updates, weights):
    return [
        b + (sum(weight * updates[seller][k] for seller, weight in weights.items()) >> 16) for k, b in enumerate(base)
    ]


def shares(parts):
    """Weights in proportion to `parts`, which add up to 2**16."""
    split = {seller: (part << 16) // sum(parts.values()) for seller, part in parts.items()}
    split[min(split)] += 2**16 - sum(split.values())
    return split


def market(count, sellers, seed=0):
    """A base and the updates of models, all anywhere in int32."""
    generator = torch.Generator().manual_seed(seed)
    base, *models = (
        torch.randint(-(2**31), 2**31, (count,), generator=generator).to(torch.int32) for _ in range(sellers + 1)
    )
    return base, {seller: update_of(model, base) for seller, model in enumerate(models)}


def random_rows(buyers, sellers, seed=0):
    chance = random.Random(seed)
    return {
        buyer: shares({s: chance.randint(1, 999) for s in chance.sample(range(sellers), chance.randint(1, sellers))})
        for buyer in buyers
    }


def as_digest(models):
    return [(buyer, hashlib.sha256(model.numpy().tobytes()).hexdigest()) for buyer, model in models]


@st.composite
def small_markets(draw):
    count, sellers = draw(st.integers(1, 6)), draw(st.lists(st.integers(0, 99), min_size=1, max_size=4, unique=True))
    models = [draw(st.lists(int32s, min_size=count, max_size=count)) for _ in range(len(sellers) + 1)]
    base = models.pop()
    updates = {s: [w - b for w, b in zip(m, base, strict=True)] for s, m in zip(sellers, models, strict=True)}
    return base, updates, shares({seller: draw(st.integers(1, 1 << 40)) for seller in sellers})


@settings(max_examples=100, deadline=None)
@given(small_markets(), st.integers(1, 7))
def test_a_personal_model_matches_the_double_loop(market, chunk):
    base, updates, weights = market
    expected = slow_personal_model(base, updates, weights)
    base = torch.tensor(base, dtype=torch.int32)
    updates = {seller: torch.tensor(update) for seller, update in updates.items()}
    assert personal_model(base, updates, weights, chunk=chunk).tolist() == expected
    ((buyer, model),) = personal_models(base, updates, {17: weights}, chunk=chunk)
    assert (buyer, model.tolist()) == (17, expected)


def test_the_shift_rounds_down():
    base = torch.tensor([0, 10], dtype=torch.int32)
    updates = {ADA: torch.tensor([-1, 3]), BOB: torch.tensor([0, 0])}
    assert personal_model(base, updates, {ADA: 2**15, BOB: 2**15}).tolist() == [-1, 11]


def test_one_seller_is_delivered_as_it_is():
    base, updates = market(1000, 1)
    assert torch.equal(personal_model(base, updates, {0: 2**16}), (base + updates[0]).to(torch.int32))


def test_the_extremes_of_int32_do_not_overflow():
    base = torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32)
    updates = {seller: torch.tensor([-MOST_UPDATE, MOST_UPDATE]) for seller in range(32)}
    row = shares(dict.fromkeys(range(32), 1))
    assert personal_model(base, updates, row).tolist() == [-(2**31), 2**31 - 1]
    assert [m.tolist() for _, m in personal_models(base, updates, {0: row})] == [[-(2**31), 2**31 - 1]]


def test_all_buyers_at_once_get_what_each_would_get_alone():
    base, updates = market(5000, 40)
    rows = random_rows(range(60, 100), 40)
    together = list(personal_models(base, updates, rows))
    assert [buyer for buyer, _ in together] == list(rows)
    for buyer, model in together:
        assert torch.equal(model, personal_model(base, updates, rows[buyer]))


@pytest.mark.parametrize("waiting", [1, 900, 1 << 20])
@pytest.mark.parametrize("working", [1, 500, 1 << 20])
def test_bounded_memory_changes_nothing(monkeypatch, waiting, working):
    base, updates = market(90, 6)
    rows = random_rows(range(20), 6)
    expected = as_digest((buyer, personal_model(base, updates, row)) for buyer, row in rows.items())
    monkeypatch.setattr(aggregate_module, "_WAITING", waiting)
    monkeypatch.setattr(aggregate_module, "_WORKING", working)
    assert as_digest(personal_models(base, updates, rows)) == expected


def test_threads_chunks_and_order_of_sellers_change_no_byte():
    base, updates = market(90_000, 5)
    rows = random_rows(range(3), 5)
    backwards = {buyer: dict(reversed(row.items())) for buyer, row in rows.items()}
    before, seen = torch.get_num_threads(), set()
    try:
        for threads in (1, 2, 4):
            torch.set_num_threads(threads)
            for chunk in (1 << 20, 33_333):
                for variant, order in ((rows, updates), (backwards, dict(reversed(updates.items())))):
                    seen.add(tuple(as_digest(personal_models(base, order, variant, chunk=chunk))))
                    alone = ((buyer, personal_model(base, order, row, chunk=chunk)) for buyer, row in variant.items())
                    seen.add(tuple(as_digest(alone)))
    finally:
        torch.set_num_threads(before)
    assert len(seen) == 1


def test_float32_would_not_do():
    """The sums need their 48 bits: were they rounded, this file would say so."""
    base, updates = market(1000, 8)
    row = random_rows([0], 8)[0]
    rounded = sum(weight * updates[seller].float() for seller, weight in row.items())
    assert not torch.equal(personal_model(base, updates, row), (base + (rounded.long() >> 16)).to(torch.int32))


def test_a_model_of_float_weights_lies_between_those_it_is_made_of():
    base = torch.zeros(500, dtype=torch.int32)
    models = {seller: to_fixed(torch.randn(500)) for seller in (ADA, BOB, EVE)}
    updates = {seller: update_of(model, base) for seller, model in models.items()}
    combined = personal_model(base, updates, shares({ADA: 100, BOB: 50, EVE: 7}))
    stacked = torch.stack(list(models.values()))
    assert (combined >= stacked.amin(0)).all()
    assert (combined <= stacked.amax(0)).all()


# --- what is refused ---


@pytest.mark.parametrize("weights", [{}, {0: 2**16 - 1}, {0: 2**16 + 1}, {0: 2**17, 1: -(2**16)}])
def test_weights_that_are_no_row_are_refused(weights):
    base, updates = market(4, 2)
    with pytest.raises(BadInput, match="add up"):
        personal_model(base, updates, weights)
    with pytest.raises(BadInput, match="add up"):
        next(personal_models(base, updates, {0: weights}))


def test_a_seller_without_an_update_is_named():
    base, updates = market(4, 2)
    with pytest.raises(BadInput, match="seller 7"):
        personal_model(base, updates, {7: 2**16})


@pytest.mark.parametrize(
    "update", [torch.zeros(3, dtype=torch.int64), torch.zeros(4, dtype=torch.int32), torch.zeros(4), torch.zeros(2, 2)]
)
def test_an_update_that_does_not_fit_the_base_is_refused(update):
    with pytest.raises(BadInput, match="seller 0"):
        personal_model(torch.zeros(4, dtype=torch.int32), {0: update}, {0: 2**16})


@pytest.mark.parametrize("value", [MOST_UPDATE + 1, -MOST_UPDATE - 1, -(2**63)])
def test_an_update_that_no_two_models_have_is_out_of_range(value):
    with pytest.raises(OutOfRange, match="seller 0"):
        personal_model(torch.zeros(1, dtype=torch.int32), {0: torch.tensor([value])}, {0: 2**16})


def test_an_update_of_another_base_is_out_of_range():
    base = torch.tensor([2**31 - 1], dtype=torch.int32)
    for combine in (lambda *a: personal_model(*a), lambda b, u, w: next(personal_models(b, u, {0: w}))):
        with pytest.raises(OutOfRange, match="not of this base"):
            combine(base, {0: torch.tensor([1])}, {0: 2**16})


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA device")
def test_a_missing_gpu_is_said_in_one_line():
    base, updates = market(4, 1)
    with pytest.raises(BadInput, match="no CUDA device"):
        personal_model(base, updates, {0: 2**16}, device="cuda")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_gives_the_same_bytes():
    base, updates = market(300_000, 16)
    rows = random_rows(range(24), 16)
    expected = as_digest(personal_models(base, updates, rows))
    assert as_digest(personal_models(base, updates, rows, device="cuda")) == expected
    alone = ((buyer, personal_model(base, updates, row, device="cuda")) for buyer, row in rows.items())
    assert as_digest(alone) == expected
    resident = {seller: update.cuda() for seller, update in updates.items()}
    assert as_digest(personal_models(base.cuda(), resident, rows, device="cuda", chunk=77_777)) == expected


# --- no update is louder than one of its buyer's own length ---


@settings(deadline=None)
@given(st.lists(st.integers(-MOST_UPDATE, MOST_UPDATE), min_size=1, max_size=50), st.integers(1, 7))
def test_a_squared_length_is_exact(update, chunk):
    assert squared_length(torch.tensor(update), chunk) == sum(each * each for each in update)


UPDATES = {
    ADA: torch.tensor([30, 40]),
    BOB: torch.tensor([0, 20]),
    EVE: torch.tensor([500, 0]),
    CAROL: torch.tensor([0, 50]),
}


def heard(rows):
    return limited(rows, squared_lengths(rows, UPDATES))


def test_an_update_ten_times_as_long_is_as_loud_as_one_of_the_buyers_own_length():
    row = heard({CAROL: {ADA: 2**15, EVE: 2**15}})[CAROL]
    assert row == {ADA: 59579, EVE: 5957}  # 10 : 1
    assert sum(row.values()) == 2**16


def test_a_shorter_update_counts_as_it_is():
    assert heard({CAROL: {ADA: 2**15, BOB: 2**15}}) == {CAROL: {ADA: 2**15, BOB: 2**15}}


def test_who_is_the_only_seller_of_a_row_is_all_of_it():
    assert heard({CAROL: {EVE: 2**16}}) == {CAROL: {EVE: 2**16}}


def test_what_others_trade_changes_nothing_of_a_row():
    row = {ADA: 2**15, EVE: 2**15}
    assert heard({CAROL: row})[CAROL] == heard({CAROL: row, BOB: {ADA: 2**16}, EVE: {BOB: 2**16}})[CAROL]


def test_lengths_are_of_all_who_trade_and_of_nobody_else():
    assert squared_lengths({CAROL: {ADA: 2**16}}, UPDATES) == {ADA: 2500, CAROL: 2500}
    assert heard({}) == {}


@given(st.lists(st.integers(1, 2**103), min_size=1, max_size=9), st.integers(0, 2**103), st.data())
def test_limited_weights_are_a_row_and_follow_the_formula(lengths, own, data):
    cuts = sorted(data.draw(st.lists(st.integers(0, 2**16), min_size=len(lengths) - 1, max_size=len(lengths) - 1)))
    row = {seller: high - low for seller, (low, high) in enumerate(pairwise([0, *cuts, 2**16]))}
    found = limited({CAROL: row}, {CAROL: own, **dict(enumerate(lengths))})[CAROL]
    loud = {seller: row[seller] * min(1, sqrt(own / lengths[seller]) if own else 1) for seller in row}
    assert sum(found.values()) == 2**16
    for seller in row:
        rounding = len(row) if seller == 0 else 1
        assert found[seller] == pytest.approx(2**16 * loud[seller] / sum(loud.values()), abs=rounding + 1e-6)
