"""A participant's models: the newest is trained on from, and a file that is cut short is none."""

import json
import os
from types import SimpleNamespace

import pytest

from market_node.daemon.deeds import Deeds
from market_node.daemon.steps import TRAIN, Step
from market_node.daemon.studies import ADOPTED, DELIVERED, MODEL, OFFER, Studies
from market_node.trainer import figures_of, read_learned


@pytest.fixture
def studies(tmp_path):
    return Studies(tmp_path / "learning")


def make(studies, number, what, at=0, **figures):
    """A model whose figures were written at a second of our choice."""
    path = studies.path(number, what)
    path.write_bytes(f"{number} {what}".encode())
    plain = {"samples": 1, "loss": 1.0, "loss_before": 2.0, "seconds": 0.0}
    figures_of(path).write_text(json.dumps({**plain, **figures}))
    os.utime(figures_of(path), (at, at))


def test_without_a_model_there_is_nothing_to_train_on_from(studies):
    assert studies.newest([1, 2]) is None


def test_the_model_that_was_made_last_is_trained_on_from(studies):
    make(studies, 1, OFFER, at=1)
    make(studies, 2, OFFER, at=2)
    assert studies.newest([1, 2]).weights == studies.path(2, OFFER)
    make(studies, 1, ADOPTED, at=3)
    newest = studies.newest([1, 2])
    assert (newest.weights, newest.is_new) == (studies.path(1, ADOPTED), True)


def test_rounds_of_another_task_do_not_count(studies):
    make(studies, 1, OFFER, at=1)
    make(studies, 2, OFFER, at=2)
    assert studies.newest([1]).weights == studies.path(1, OFFER)


def test_weights_without_figures_are_not_whole(studies):
    make(studies, 1, OFFER)
    figures_of(studies.path(1, OFFER)).unlink()
    assert not studies.has(1, OFFER)
    assert studies.newest([1]) is None


def test_an_adopted_model_is_offered_as_it_is(studies):
    make(studies, 1, ADOPTED, loss=0.5)
    studies.offer_as_it_is(2, studies.newest([1]))
    assert studies.path(2, OFFER).read_bytes() == b"1 adopted"
    assert studies.has(2, OFFER)
    assert studies.newest([1, 2]).learned.loss == 0.5


def test_of_ended_rounds_the_newest_model_and_all_figures_stay(studies):
    for number in (1, 2):
        make(studies, number, OFFER, at=number)
        make(studies, number, ADOPTED, at=number + 10, rating=100)
        studies.path(number, DELIVERED).write_bytes(b"delivered")
    studies.prune([1, 2], [1, 2])
    assert [path.name for path in sorted(studies.folder.glob("*.safetensors"))] == ["2-adopted.safetensors"]
    assert studies.judged(1).rating == 100


def test_what_an_open_round_needs_is_not_deleted(studies):
    make(studies, 1, OFFER, at=1)
    make(studies, 2, OFFER, at=2)
    make(studies, 1, ADOPTED, at=3)
    studies.prune([1], [1, 2])
    assert studies.has(2, OFFER)
    assert studies.has(1, ADOPTED)
    assert not studies.has(1, OFFER)


def test_the_newest_model_for_use_stays_though_the_next_round_has_offered_the_other(studies):
    for number in (1, 2):
        make(studies, number, ADOPTED, at=number)
        studies.path(number, MODEL).write_bytes(b"for use")
    studies.offer_as_it_is(3, studies.newest([1, 2]))
    studies.prune(ended=[1, 2], rounds=[1, 2, 3])
    assert (studies.has(1, MODEL), studies.has(2, MODEL), studies.has(2, ADOPTED)) == (False, True, False)


def test_only_a_node_without_a_model_tells_its_training_that_it_starts_from_the_base(studies, tmp_path):
    """A private training goes by it: the base has seen no samples."""
    begun = []
    node = SimpleNamespace(
        node=SimpleNamespace(round=lambda number: number),
        studies=studies,
        _newest=lambda round_: studies.newest([1, 2]),
        _base=lambda round_: tmp_path / "base.safetensors",
        _begin=lambda step, what, **lesson: begun.append((lesson["start"].name, lesson.get("is_base", False))),
    )
    Deeds.train(node, Step(TRAIN, 2))
    make(studies, 1, OFFER)
    Deeds.train(node, Step(TRAIN, 2))
    assert begun == [("base.safetensors", True), ("1-offer.safetensors", False)]


def test_a_model_that_is_offered_as_it_is_keeps_what_its_training_claims(studies):
    claim = {"epsilon": 2.0, "delta": 0.01, "unit": "sample"}
    make(studies, 1, ADOPTED, privacy=claim)
    studies.offer_as_it_is(2, studies.newest([1]))
    assert read_learned(studies.path(2, OFFER)).privacy == claim
