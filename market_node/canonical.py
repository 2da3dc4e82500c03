"""JSON that has one spelling per value, so that a digest names the value."""

import json
from typing import Any, NoReturn


def canonical(value: Any) -> bytes:
    """Keys sorted, no spaces, UTF-8, numbers as Python writes them.

    Raises:
        ValueError: not JSON: another type, NaN, an infinity, or text that is not Unicode.
    """
    try:
        text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
        return text.encode()
    except (TypeError, RecursionError) as error:
        raise ValueError(str(error)) from None


def read_canonical(text: bytes) -> Any:
    """The value that `canonical` writes as `text`. The caller bounds the length.

    Raises:
        ValueError: `text` is not JSON, or not its canonical spelling (which also excludes keys that stand twice).
    """
    try:
        value = json.loads(text.decode(), parse_constant=_refuse)
    except RecursionError:
        raise ValueError("too deeply nested") from None
    if canonical(value) != text:
        raise ValueError("not canonical: keys sorted, each once, no spaces, UTF-8")
    return value


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
