"""What becomes of a delivery that cannot be had: rejected where its bytes are wrong, or never came; never for less."""

from collections.abc import Callable
from contextlib import suppress
from types import SimpleNamespace

import pytest

from market_node.daemon.deeds import TRIES_BEFORE_REJECTING, Deeds
from market_node.daemon.patience import Patience
from market_node.daemon.steps import FETCH, Step
from market_node.errors import (
    BadInput,
    BrokenSeal,
    DigestMismatch,
    MalformedUpdate,
    Misshapen,
    NodeError,
    NotFound,
    StorageError,
    TooLarge,
    UnknownVersion,
)

ROUND = Step(FETCH, 7, None)
SETTLED, CHALLENGE_TIME = 1000, 400
EARLY, LATE = SETTLED + 299, SETTLED + 300


class Alice:
    """A buyer's node. Its delivery fails to come with `failure`; its own store works unless it is broken."""

    def __init__(self, failure: NodeError) -> None:
        self.failure, self.store_is_broken = failure, False

    def fetch(self, number: int, out: object) -> None:
        raise self.failure

    def prove_the_store(self) -> None:
        if self.store_is_broken:
            raise StorageError("Alice's own disk is full")


Make = Callable[..., Deeds]


@pytest.fixture
def deeds() -> Make:
    def make(failure: NodeError, now: int, tries: int = TRIES_BEFORE_REJECTING) -> Deeds:
        state = SimpleNamespace(settle_time=SETTLED, terms=SimpleNamespace(challenge_time=CHALLENGE_TIME))
        outlook = SimpleNamespace(
            node=Alice(failure),
            chain=None,
            studies=SimpleNamespace(path=lambda *_: None),
            policy=SimpleNamespace(participant=None),
            amount=str,
            now=now,
            of=lambda number: SimpleNamespace(state=state),
        )
        patience = Patience(1.0, lambda: 0.0)
        for _ in range(tries):
            patience.failed(ROUND.key, "it did not come")
        return Deeds(outlook, 200, ".", patience)

    return make


def gives_up(deeds: Deeds) -> bool:
    """Whether the next step would reject."""
    with suppress(NodeError):
        deeds.fetch(ROUND)
    return ROUND.round in deeds.hopeless


@pytest.mark.parametrize("kind", [BrokenSeal, MalformedUpdate, TooLarge, Misshapen])
def test_bytes_that_are_no_model_are_rejected_at_once(deeds, kind):
    assert gives_up(deeds(kind("not what was bought"), now=EARLY, tries=0))


SILENT = [
    NotFound("nobody has it"),
    StorageError("the gateway gave nothing for 20 s"),
    DigestMismatch("other bytes"),
    UnknownVersion("version 2, this node reads 1"),
]


@pytest.mark.parametrize("failure", SILENT)
def test_what_never_came_is_rejected_when_it_is_late(deeds, failure):
    assert not gives_up(deeds(failure, now=EARLY))
    assert gives_up(deeds(failure, now=LATE))


@pytest.mark.parametrize("failure", SILENT)
def test_one_failure_is_no_proof_however_late_it_is(deeds, failure):
    assert not gives_up(deeds(failure, now=LATE, tries=TRIES_BEFORE_REJECTING - 1))


@pytest.mark.parametrize("failure", SILENT)
def test_who_has_a_broken_store_blames_nobody(deeds, failure):
    alice = deeds(failure, now=LATE)
    alice.node.store_is_broken = True
    with pytest.raises(StorageError, match="own disk"):
        alice.fetch(ROUND)
    assert not alice.hopeless


def test_what_is_the_nodes_own_fault_is_never_rejected(deeds):
    assert not gives_up(deeds(BadInput("no key here"), now=LATE))
