"""Digests as people write them."""

import re

from .errors import BadInput


def parse_digest(text: str, name: str) -> bytes:
    """The 32 bytes of a digest in hex, with or without 0x, or of a CID.

    Raises:
        BadInput: it is neither.
    """
    from .codec import read_cid  # and with it the EVM's encodings, for which a command's help need not wait

    if re.fullmatch(r"(0x)?[0-9a-fA-F]{64}", text):
        return bytes.fromhex(text.removeprefix("0x"))
    try:
        return read_cid(text)[1]
    except BadInput:
        raise BadInput(f"{name}: {text!r} is no file, no digest of 64 hex digits and no CID") from None
