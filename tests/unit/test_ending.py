"""The end can be wished by a signal at any moment, and none is missed or waited for."""

import signal
import sys
import time

import pytest

from market_node.ending import Ending


@pytest.fixture
def ending():
    ending = Ending()
    before = signal.signal(signal.SIGUSR1, lambda *_: ending.set())
    yield ending
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("moment", range(8))
def test_a_signal_at_any_line_of_a_wait_ends_it(ending, moment):
    """`threading.Event` waits for ever where the signal comes while it holds its lock."""
    lines = 0

    def trace(frame, event, _):
        nonlocal lines
        if event == "line":
            if lines == moment:
                signal.raise_signal(signal.SIGUSR1)
            lines += 1
        return trace

    sys.settrace(trace)
    try:
        assert ending.wait(5) and ending.is_set()
    finally:
        sys.settrace(None)
    assert lines > moment


def test_a_wait_without_a_wish_ends_with_its_time():
    began = time.monotonic()
    assert not Ending().wait(0.05)
    assert time.monotonic() - began >= 0.05
    assert not Ending().is_set()


def test_what_was_wished_before_is_not_waited_for(ending):
    ending.set()
    assert ending.wait()
