"""What the tests of auditors share, and those of nodes that run by themselves. An import costs them alone."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.integration.desk import Desk, Stage
    from tests.integration.village import Village


@pytest.fixture
def opened(devnet, actors) -> "Iterator[Stage]":
    """A round of Alice, Bob and Carol, which is over before the next test looks at the market."""
    from market_node.settlement import standing
    from tests.integration.desk import Stage

    stage = Stage(devnet, actors.operator, [actors.alice, actors.bob, actors.carol]).open()
    yield stage
    for _ in range(5):
        stage.end()
    for number in standing(stage.seen()):
        if stage.seen().challenges[number].refunded is None:
            actors.dave.refund_challenge(stage.number, number)


@pytest.fixture
def stage(opened) -> "Stage":
    """The same before its settlement: they all buy from each other."""
    return opened.commit().draw().reveal()


@pytest.fixture
def desk(actors, tmp_path) -> "Desk":
    from tests.integration.desk import Desk

    return Desk(actors.erin, tmp_path / "reports")


@pytest.fixture
def village(tmp_path) -> "Village":
    from tests.integration.village import Village

    return Village(tmp_path)


@pytest.fixture
def three(village) -> "Village":
    """An aggregator, Alice and Bob."""
    from market_node.policy import Policy

    village.join("agnes", Policy(aggregator=village.opening()))
    village.join("alice", Policy(participant=village.participation(1)))
    village.join("bob", Policy(participant=village.participation(2)))
    return village
