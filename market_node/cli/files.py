"""Files that a command line names."""

import json
from pathlib import Path
from typing import Any

from ..errors import BadInput


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
