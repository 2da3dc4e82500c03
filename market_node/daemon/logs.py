"""A node's log: one line for a person, or one JSON document for a machine, per event, on standard output.

What is logged is public or the account's own business: addresses, rounds, transactions, amounts. No key, password,
salt or bid is ever part of an event.
"""

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

FIELDS = ("round", "step", "transaction", "gas", "loss", "net")
"""What an event may carry beside its text."""


class Plain(logging.Formatter):
    """`2026-11-21T16:40:00Z round 3: revealed`; warnings say so."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        level = "" if record.levelno == logging.INFO else f"{record.levelname.lower()}: "
        text = f"{_time(record)} {level}{_line(record.getMessage())}"
        return f"{text}\n{self.formatException(record.exc_info)}" if record.exc_info else text


class Json(logging.Formatter):
    """`{"time": …, "level": "info", "message": …, "round": 3, "step": "reveal", …}`."""

    def format(self, record: logging.LogRecord) -> str:
        """See the class."""
        event: dict[str, Any] = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": _line(record.getMessage()),
        }
        event |= {name: value for name in FIELDS if (value := getattr(record, name, None)) is not None}
        if record.exc_info:
            event["where"] = self.formatException(record.exc_info)
        return json.dumps(event, ensure_ascii=False)


def setup(form: str, level: int = logging.INFO, stream: TextIO | None = None) -> None:
    """Sends what this package logs to standard output, as "plain" lines or "json"; others only from warnings on."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(Json() if form == "json" else Plain())
    logging.basicConfig(handlers=[handler], level=logging.WARNING, force=True)
    logging.getLogger("market_node").setLevel(level)


def _time(record: logging.LogRecord) -> str:
    return f"{datetime.fromtimestamp(record.created, UTC):%Y-%m-%dT%H:%M:%S}.{int(record.msecs):03}Z"


def _line(text: str) -> str:
    """The text without line ends and control characters: a chain or a store may have worded part of it."""
    return "".join(each for each in " ".join(text.split()) if each.isprintable())
