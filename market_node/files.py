"""Files that are there whole or not at all."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO


@contextmanager
def replacing(path: Path | str, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write, which takes the name `path` when the block ends without an error, and vanishes otherwise.

    The bytes are on the disk before the name is. The file is new and beside `path`, so several processes can write
    the same name at once, and readers see one of the versions. `mode` is what the umask then narrows.
    """
    path = Path(path)
    unfinished = path.with_name(f".{secrets.token_hex(8)}.part")
    with open(unfinished, "xb+", opener=lambda name, flags: os.open(name, flags, mode)) as file:
        try:
            yield file
            file.flush()
            sync(unfinished)  # by name: safetensors puts a new file under it
            os.replace(unfinished, path)
        except BaseException:
            with suppress(FileNotFoundError):
                unfinished.unlink()
            raise
    sync(path.parent)


def sync(path: Path) -> None:
    """Waits until a file's bytes, or a folder's names, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
