"""Lies and those who learn them: what pays under the market's rule and what does not."""

import pytest

from market_node.simulation.learners import Game, Table, best_responses, learn
from market_node.simulation.strategies import SIDES, TRUTH
from market_node.simulation.trial import town, usual_terms

PLACES = town(6, 3, usual_terms())


@pytest.mark.parametrize("side", SIDES)
def test_the_first_thing_to_say_is_the_truth(side):
    game = Game(PLACES, "market", side)
    truthful = PLACES.truthful(1)
    assert [options[TRUTH].bid for options in game.options] == [seat.bid for seat in truthful]
    assert [options[TRUTH].sketch for options in game.options] == [seat.sketch for seat in truthful]


@pytest.mark.parametrize("side", SIDES)
def test_a_lie_changes_no_model(side):
    for seat, options in zip(PLACES.truthful(1), Game(PLACES, "market", side).options, strict=True):
        assert {option.update for option in options} == {seat.update}


def test_no_false_cost_gains_under_the_market():
    assert all(answer.gain <= 1e-12 for answer in best_responses(Game(PLACES, "market", "cost")))


def test_a_false_cost_gains_under_a_price_made_of_the_bids():
    assert max(answer.gain for answer in best_responses(Game(PLACES, "posted", "cost"))) > 0.001


def test_shading_the_value_gains_under_the_market():
    assert max(answer.gain for answer in best_responses(Game(PLACES, "market", "value"))) > 0.01


def test_who_sells_gains_by_more_samples():
    assert max(answer.gain for answer in best_responses(Game(PLACES, "market", "samples"))) > 0.01


@pytest.mark.parametrize("design", ["market", "paper", "posted", "proportional", "vcg"])
@pytest.mark.parametrize("side", ["cost", "samples", "sketch"])
def test_rows_that_a_learner_cannot_touch_play_no_part_in_its_profit(design, side):
    game = Game(PLACES, design, side)
    played = [1, 2, TRUTH, 1, TRUTH, 2]
    learner = 4
    few = Table(game, game.seats(played), learner)
    for option in game.options[learner]:
        seats = game.seats(played)
        seats[learner] = option
        clearing = game.clear(game.round(seats))
        prices = [each.price for row in clearing.rows for each in row if each.seller == learner]
        income = sum(prices) - len(prices) * option.owner.cost
        assert few._sells(option) == income


def test_who_learns_values_shades_them_and_regrets_less_and_less():
    game = Game(PLACES, "market", "value")
    short, long = learn(game, 10), learn(game, 60)
    assert long.said < 0.8
    assert long.regret < short.regret
