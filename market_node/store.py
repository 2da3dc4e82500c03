"""Where sealed files are kept, by content: what comes back is checked block by block, whoever gives it."""

import os
import secrets
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from .blocks import BLOCK_LIMIT, Read, build, chunks, leaves
from .codec import cid_text
from .errors import NotFound, StorageError
from .files import replacing, sync

Digest = bytes
"""sha2-256 digest of a file's root block, 32 bytes: all that the chain keeps of a CID."""

_BATCH, _TOGETHER = 64, 8
"""Blocks that wait to be synced, and how many of them at a time: a journal commits once for all that wait."""


class Store(Protocol):
    """Keeps files and gives them back by the digest of their root block."""

    def put(self, path: Path) -> Digest:
        """Keeps a copy of the file. When this returns, the copy survives a crash.

        Raises:
            BadInput: a file of one block that begins with 0x0a or 0x12.
            StorageError: it could not be kept.
        """

    def get(self, digest: Digest, path: Path, limit: int) -> None:
        """Writes the file to `path`, which gets its name only once every byte was verified.

        Args:
            limit: bytes.

        Raises:
            NotFound: a block is missing, named by its CID.
            DigestMismatch: the store returned other bytes.
            TooLarge: past the limit.
            Misshapen: not a file, or not in this profile.
        """

    def has(self, digest: Digest) -> bool:
        """Whether all of the file's blocks are there."""


def cid_of(path: Path) -> str:
    """The CID that every store, and Kubo in the same profile, gives the file."""
    with open(path, "rb") as file:
        root = build(file, lambda digest, block: None)
    return cid_text(root.digest, root.codec)


def fetch(read: Read, digest: Digest, path: Path, limit: int) -> None:
    """`Store.get` over any source of blocks. Nothing that `read` gives is believed."""
    try:
        with replacing(path) as file:
            for chunk in chunks(digest, read, limit):
                file.write(chunk)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error


class BlockStore:
    """A folder of blocks, each in a file named by its digest. Several processes may share it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def put(self, path: Path) -> Digest:
        """See `Store.put`."""
        with open(path, "rb") as file:
            try:
                with _Batch(self._path) as batch:
                    return build(file, batch.keep).digest
            except OSError as error:
                raise StorageError(f"cannot keep {path} in {self.folder}: {error}") from error

    def get(self, digest: Digest, path: Path, limit: int) -> None:
        """See `Store.get`."""
        fetch(self._read, digest, path, limit)

    def has(self, digest: Digest) -> bool:
        """See `Store.has`."""
        try:
            return all(self._path(leaf).exists() for leaf in leaves(digest, self._read))
        except NotFound:
            return False

    def _path(self, digest: Digest) -> Path:
        return self.folder / digest.hex()

    def _read(self, codec: int, digest: Digest) -> bytes:
        try:
            with open(self._path(digest), "rb") as file:
                return file.read(BLOCK_LIMIT + 1)  # one more than any block has, so that a longer one is noticed
        except FileNotFoundError:
            raise NotFound(f"no block {cid_text(digest, codec)} in {self.folder}") from None
        except OSError as error:
            raise StorageError(f"cannot read block {cid_text(digest, codec)}: {error}") from error


class _Batch:
    """Blocks on their way to the disk. A name appears only when its bytes are there."""

    def __init__(self, path_of: Callable[[Digest], Path]) -> None:
        self.path_of = path_of
        self.unfinished: dict[Path, Path] = {}

    def __enter__(self) -> "_Batch":
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            if error is None:
                self.finish()
        finally:
            for left in self.unfinished.values():
                with suppress(FileNotFoundError):
                    left.unlink()

    def keep(self, digest: Digest, block: bytes) -> None:
        path = self.path_of(digest)
        if path in self.unfinished or _holds(path, block):
            return
        self.unfinished[path] = path.with_name(f".{secrets.token_hex(8)}.part")
        with open(self.unfinished[path], "xb") as file:
            file.write(block)
        if len(self.unfinished) == _BATCH:
            self.finish()

    def finish(self) -> None:
        with ThreadPoolExecutor(_TOGETHER) as pool:
            list(pool.map(sync, self.unfinished.values()))
        for path, unfinished in self.unfinished.items():
            os.replace(unfinished, path)
        for folder in {path.parent for path in self.unfinished}:
            sync(folder)
        self.unfinished.clear()


def _holds(path: Path, block: bytes) -> bool:
    """Whether the block is there, undamaged: putting a file again repairs what a broken disk changed."""
    try:
        return path.read_bytes() == block
    except FileNotFoundError:
        return False
