"""A log has one event a line, for a person or as JSON."""

import io
import json
import logging

import pytest

from market_node.daemon.logs import setup


@pytest.fixture
def logged():
    """Logs to a text, and leaves logging as it was."""
    root, own = logging.getLogger(), logging.getLogger("market_node")
    before = root.handlers[:], root.level, own.level

    def to(form: str, level: int = logging.INFO) -> io.StringIO:
        stream = io.StringIO()
        setup(form, level, stream)
        return stream

    yield to
    root.handlers[:], root.level = before[0], before[1]
    own.setLevel(before[2])


log = logging.getLogger("market_node.daemon")


def test_an_event_for_a_person_is_a_time_and_a_text(logged):
    stream = logged("plain")
    log.info("round %d: revealed", 3)
    log.warning("nobody answers")
    first, second = stream.getvalue().splitlines()
    assert first.endswith("Z round 3: revealed")
    assert second.endswith("Z warning: nobody answers")


def test_an_event_as_json_has_its_fields(logged):
    stream = logged("json")
    log.info("round %d: revealed", 3, extra={"round": 3, "step": "reveal", "transaction": "0x12", "gas": 7})
    event = json.loads(stream.getvalue())
    assert event.pop("time").endswith("Z")
    assert event == {
        "level": "info", "logger": "market_node.daemon", "message": "round 3: revealed",
        "round": 3, "step": "reveal", "transaction": "0x12", "gas": 7,
    }  # fmt: skip


@pytest.mark.parametrize("form", ["plain", "json"])
def test_what_a_stranger_has_worded_cannot_make_a_second_line(logged, form):
    stream = logged(form)
    log.warning("%s", "no\nsuch\x1b[31m thing")
    assert stream.getvalue().count("\n") == 1
    assert "\x1b" not in stream.getvalue()


def test_other_packages_are_heard_from_warnings_on(logged):
    stream = logged("plain")
    logging.getLogger("urllib3").info("a connection")
    logging.getLogger("urllib3").warning("a broken connection")
    assert "a broken connection" in stream.getvalue()
    assert stream.getvalue().count("\n") == 1


def test_details_are_logged_where_they_are_asked_for(logged):
    quiet = logged("plain")
    log.debug("a detail")
    loud = logged("plain", logging.DEBUG)
    log.debug("a detail")
    assert quiet.getvalue() == ""
    assert "a detail" in loud.getvalue()
