"""Files and digests that a command line names."""

import json
import re
from pathlib import Path
from typing import Any

from ..errors import BadInput


def parse_digest(text: str, name: str) -> bytes:
    """The 32 bytes of a digest in hex, with or without 0x, or of a CID.

    Raises:
        BadInput: it is neither.
    """
    from ..codec import read_cid

    if re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text.removeprefix("0x"))
    try:
        return read_cid(text)[1]
    except BadInput:
        raise BadInput(f"{name}: {text!r} is no file, no digest of 64 hex digits and no CID") from None


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object in a file.

    Raises:
        BadInput: it is none.
    """
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise BadInput(f"cannot read {path} as JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadInput(f"{path} is not a JSON object")
    return value
