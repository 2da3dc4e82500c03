"""JSON that has one spelling per value, so that a digest names the value."""

import json
import re
from typing import Any, NoReturn

MOST_DEPTH = 64
"""Brackets within brackets. Checked here: Python's own limit is the process's, and a library may have raised it so far
that a deep text ends the process."""

_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
"""A string, or what begins as one and does not end: it is passed over once, else each quote in it would start anew."""
_BRACKET = re.compile(rb"[\[\]{}]")


def canonical(value: Any) -> bytes:
    """Keys sorted, no spaces, UTF-8, numbers as Python writes them.

    Raises:
        ValueError: not JSON: another type, NaN, an infinity, text that is not Unicode; or nested too deeply.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None
    check_depth(text)
    return text


def read_canonical(text: bytes) -> Any:
    """The value that `canonical` writes as `text`. The caller bounds the length.

    Raises:
        ValueError: `text` is not JSON, or not its canonical spelling (which also excludes keys that stand twice).
    """
    check_depth(text)
    value = json.loads(text.decode(), parse_constant=_refuse)
    if canonical(value) != text:
        raise ValueError("not canonical: keys sorted, each once, no spaces, UTF-8")
    return value


def check_depth(text: bytes) -> None:
    """Raises ValueError for JSON nested so deeply that reading it could end the process."""
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub(b"", text)):
        depth += 1 if bracket in b"[{" else -1
        if depth > MOST_DEPTH:
            raise ValueError(f"nested more than {MOST_DEPTH} deep")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
