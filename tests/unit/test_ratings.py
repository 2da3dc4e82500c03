"""What buyers say of what they bought follows from what it really did, as well as a hold-out can tell."""

from dataclasses import replace

import numpy as np
import pytest

from market_node.records import Purchase
from market_node.simulation.play import real_gains, seated
from market_node.simulation.ratings import answered, found
from market_node.simulation.scenario import Judgement
from tests.unit.rounds import ZERO_SKETCH
from tests.unit.test_play import TERMS, town

JUDGEMENT = Judgement(holdout=0.2, noise=1.0, harm=0.5)
QUIET, WILLING = np.zeros(5), np.zeros(5)


@pytest.mark.parametrize(
    ("effect", "holdout", "noise", "rating"),
    [
        (0.5, 29, 0.0, None),
        (0.5, 30, 0.0, 100),  # 0.5 · √30 = 2.7
        (0.2, 100, 0.0, 75),
        (0.2, 100, 0.1, 100),
        (-0.2, 100, 0.0, 75),
        (-0.2, 100, -0.1, 0),
    ],
)
def test_a_rating_is_as_sure_as_the_holdout_allows(effect: float, holdout: int, noise: float, rating: int | None):
    assert found(effect, holdout, JUDGEMENT, noise) == rating


def rating_of(seats, rows, judgement=JUDGEMENT, willing=WILLING):
    """The first participant's."""
    round_ = seated(seats, TERMS)
    gains = real_gains(seats, round_, rows)
    return answered(seats, round_, rows, gains, judgement, QUIET, willing).participants[0]


def bought(*sellers: int):
    return tuple(Purchase(seller, 1) for seller in sellers), (), (), (), ()


def test_a_good_delivery_is_found_to_be_one():
    assert rating_of(town(), bought(1, 2, 3, 4)).rating == 100


def test_garbage_is_found_to_be_harmful():
    seats = town()
    seats = [seats[0], *(replace(seat, real=ZERO_SKETCH) for seat in seats[1:])]
    assert rating_of(seats, bought(1, 2)).rating == 0


def test_a_little_garbage_among_good_models_does_less():
    seats = town()
    seats[1] = replace(seats[1], real=ZERO_SKETCH)
    assert rating_of(seats, bought(1, 2, 3, 4)).rating == 100


def test_who_bought_nothing_says_nothing():
    assert rating_of(town(), bought()).rating is None


def test_some_do_not_rate():
    half = replace(JUDGEMENT, rated=0.5)
    assert rating_of(town(), bought(1), half, np.full(5, 0.6)).rating is None
    assert rating_of(town(), bought(1, 2, 3, 4), half, np.full(5, 0.4)).rating == 100


def test_who_lies_says_what_it_wants():
    seats = town()
    seats[0] = replace(seats[0], rates=0, rejects=True)
    answer = rating_of(seats, bought(1, 2, 3, 4))
    assert (answer.rating, answer.rejected) == (0, True)
