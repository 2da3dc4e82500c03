"""Where sealed files are kept, by content: what comes back is checked block by block, whoever gives it."""

import os
import secrets
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from math import inf
from pathlib import Path
from time import monotonic
from typing import BinaryIO, Protocol

from .blocks import BLOCK_LIMIT, CHUNK, Read, build, chunks, leaves
from .codec import cid_text
from .errors import NotFound, StorageError
from .files import replacing, sync

Digest = bytes
"""sha2-256 digest of a file's root block, 32 bytes: all that the chain keeps of a CID."""

LEAST_RATE = CHUNK
"""Bytes per second at which a file has to come, once its store's patience is used up."""

SIDE_BY_SIDE = 16
"""Files that are fetched at once, at most. They share the line: with many more, an honest one would seem missing."""

_BATCH, _TOGETHER = 64, 8
"""Blocks that wait to be synced, and how many of them at a time: a journal commits once for all that wait."""

_FLUSH = 1 << 25
"""Bytes of a file after which the disk begins to write them, rather than all at the end."""


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
            StorageError: the store fails, or gives the file too slowly.
        """

    def has(self, digest: Digest) -> bool:
        """Whether all of the file's blocks are there."""


def cid_of(path: Path) -> str:
    """The CID that every store, and Kubo in the same profile, gives the file."""
    with open(path, "rb") as file:
        root = build(file, lambda digest, block: None)
    return cid_text(root.digest, root.codec)


def fetch(read: Read, digest: Digest, path: Path, limit: int, patience: float = inf) -> None:
    """`Store.get` over any source of blocks. Nothing that `read` gives is believed.

    Args:
        patience: seconds that the file may take, beside one for every `LEAST_RATE` bytes that have come.
    """
    try:
        with replacing(path) as file, _Behind(file) as behind:
            for chunk in chunks(digest, _in_time(read, patience), limit):
                behind.write(chunk)
    except OSError as error:
        raise StorageError(f"cannot write {path}: {error}") from error


def _in_time(read: Read, patience: float) -> Read:
    """Asks for no block once the file is late: who gives each just in time could hold its reader for hours."""
    began, came = monotonic(), 0

    def timely(codec: int, digest: Digest) -> bytes:
        nonlocal came
        took = monotonic() - began
        if took > patience + came / LEAST_RATE:
            raise StorageError(
                f"only {came} bytes came in {took:.0f} s, block {cid_text(digest, codec)} is next: whoever has the "
                "file gives it too slowly; raise 'store_timeout' where the line is slow"
            )
        block = read(codec, digest)
        came += len(block)
        return block

    return timely


class _Behind:
    """Writes a file, and has the disk write it, while the next blocks are read and hashed."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.writer, self.flusher = ThreadPoolExecutor(1), ThreadPoolExecutor(1)
        self.waiting: deque[Future[int]] = deque()
        self.flush: Future[None] | None = None
        self.unflushed = 0

    def __enter__(self) -> "_Behind":
        return self

    def __exit__(self, error: object, *_: object) -> None:
        self.writer.shutdown()
        self.flusher.shutdown()
        if error is None:
            self._check(0)

    def write(self, chunk: bytes) -> None:
        self._check(_TOGETHER - 1)
        self.waiting.append(self.writer.submit(self.file.write, chunk))
        self.unflushed += len(chunk)
        if self.unflushed >= _FLUSH and (self.flush is None or self.flush.done()):
            self.flush, self.unflushed = self.flusher.submit(os.fdatasync, self.file.fileno()), 0

    def _check(self, most: int) -> None:
        """Waits until at most `most` chunks wait to be written. Raises what writing them has raised."""
        while len(self.waiting) > most:
            self.waiting.popleft().result()
        if self.flush is not None and self.flush.done():
            self.flush.result()


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
    """Blocks on their way to the disk. A name appears only when its bytes are there.

    While some are synced, the next are written.
    """

    def __init__(self, path_of: Callable[[Digest], Path]) -> None:
        self.path_of = path_of
        self.unfinished: dict[Path, Path] = {}
        self.finishing: dict[Path, Path] = {}
        self.finished: Future[None] | None = None
        self.one, self.pool = ThreadPoolExecutor(1), ThreadPoolExecutor(_TOGETHER)

    def __enter__(self) -> "_Batch":
        return self

    def __exit__(self, error: object, *_: object) -> None:
        try:
            if error is None:
                self.finish()
                self.finish()
        finally:
            self.one.shutdown()
            self.pool.shutdown()
            for left in (*self.finishing.values(), *self.unfinished.values()):
                with suppress(FileNotFoundError):
                    left.unlink()

    def keep(self, digest: Digest, block: bytes) -> None:
        path = self.path_of(digest)
        if path in self.unfinished or path in self.finishing or _holds(path, block):
            return
        self.unfinished[path] = path.with_name(f".{secrets.token_hex(8)}.part")
        with open(self.unfinished[path], "xb") as file:
            file.write(block)
        if len(self.unfinished) == _BATCH:
            self.finish()

    def finish(self) -> None:
        """Waits for the blocks that are being synced, and begins with those that are not."""
        if self.finished is not None:
            self.finished.result()
        self.finishing, self.unfinished = self.unfinished, {}
        self.finished = self.one.submit(self._sync, self.finishing)

    def _sync(self, blocks: dict[Path, Path]) -> None:
        list(self.pool.map(sync, blocks.values()))
        for path, unfinished in blocks.items():
            os.replace(unfinished, path)
        for folder in {path.parent for path in blocks}:
            sync(folder)


def _holds(path: Path, block: bytes) -> bool:
    """Whether the block is there, undamaged: putting a file again repairs what a broken disk changed."""
    try:
        return path.read_bytes() == block
    except FileNotFoundError:
        return False
