"""What failed is said once and tried again, later and later, until it is no longer due."""

from market_node.daemon.patience import LONGEST, Patience


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def waits(patience: Patience, clock: Clock, times: int, left: float | None = None) -> list[float]:
    """How long each failure of a row of them keeps its step from being tried."""
    found = []
    for _ in range(times):
        patience.failed("reveal", "nobody answers", left)
        start = clock.now
        while patience.rests("reveal"):
            clock.now += 0.5
        found.append(clock.now - start)
    return found


def test_waits_double_up_to_a_minute():
    clock = Clock()
    assert waits(Patience(1, clock), clock, 8) == [1, 2, 4, 8, 16, 32, LONGEST, LONGEST]


def test_where_little_time_is_left_a_quarter_of_it_is_the_longest_wait():
    clock = Clock()
    assert waits(Patience(1, clock), clock, 5, left=20) == [1, 2, 4, 5, 5]


def test_a_failure_is_said_once_and_again_where_it_has_another_reason():
    patience = Patience(1, Clock())
    assert patience.failed("reveal", "nobody answers")
    assert not patience.failed("reveal", "nobody answers")
    assert patience.failed("reveal", "no ether")
    assert patience.failed("commit", "nobody answers")


def test_after_a_success_it_is_as_if_nothing_had_failed():
    patience = Patience(1, Clock())
    patience.failed("reveal", "nobody answers")
    assert patience.succeeded("reveal")
    assert not patience.succeeded("reveal")
    assert not patience.rests("reveal")
    assert patience.failed("reveal", "nobody answers")


def test_one_failure_holds_nothing_else_up():
    patience = Patience(1, Clock())
    patience.failed("reveal", "nobody answers")
    assert not patience.rests("commit")


def test_what_is_no_longer_due_is_forgotten():
    patience = Patience(1, Clock())
    patience.failed("reveal", "nobody answers")
    patience.failed("commit", "nobody answers")
    assert patience.keep({"commit"}) == ["reveal"]
    assert patience.times("reveal") == 0
    assert patience.times("commit") == 1
