"""A trustless gateway as a store to read from: a file comes as one stream of blocks (CAR), each of them checked.

See https://specs.ipfs.tech/http-gateways/trustless-gateway/. A gateway that cannot do that is asked block by block.
"""

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

from .blocks import BLOCK_LIMIT, leaves
from .codec import DAG_PB, RAW, cid_text
from .errors import DigestMismatch, NotFound, StorageError
from .ipfs_http import spoken
from .kubo import PAUSE, TRIES, Unanswered, shown, silent
from .store import Digest, fetch

CAR = {"format": "car", "dag-scope": "all", "car-dups": "y", "car-order": "dfs"}
"""Every block of a tree, depth first, as often as it occurs: the order in which they are read here."""

ACCEPT = "application/vnd.ipld.car; version=1; order=dfs; dups=y"

_MISSING = (404, 410, 504)
"""What gateways answer of content that nobody gives them."""

_HEADER_LIMIT = 1 << 16
_CID_SIZE = 36


class GatewayStore:
    """Files that somebody else's gateway gives away.

    Args:
        url: what stands before `/ipfs/…`.
        patience: seconds for one block, all tries together; see also `store.fetch`.
    """

    def __init__(self, url: str, patience: float = 60.0) -> None:
        self.name = f"the gateway at {shown(url)}"
        self._longest = patience
        self.patience = patience / TRIES
        self._timeout = httpx.Timeout(self.patience)
        self._client = httpx.Client(
            base_url=url.rstrip("/") + "/ipfs/",
            timeout=self._timeout,
            follow_redirects=True,
            headers={"Accept-Encoding": "identity"},  # what a small answer can unfold to has no bound
        )

    def put(self, path: Path) -> Digest:
        """Raises StorageError: gateways give and do not take."""
        raise StorageError(f"{self.name} keeps nothing: name a folder or a Kubo node first in 'store'")

    def get(self, digest: Digest, path: Path, limit: int) -> None:
        """See `Store.get`."""
        with _Reader(self) as reader:
            try:
                fetch(reader, digest, path, limit, self._longest)
            except DigestMismatch as error:
                raise DigestMismatch(f"{error}: {self.name} is broken or lies; use another one") from None

    def has(self, digest: Digest) -> bool:
        """Whether the gateway has all of the file's blocks. Asks for each of them."""
        try:
            for leaf in leaves(digest, self.block):
                self.block(RAW, leaf)
        except NotFound:
            return False
        return True

    def block(self, codec: int, digest: Digest) -> bytes:
        """One block, unchecked."""
        cid, failure = cid_text(digest, codec), ""
        for attempt in range(TRIES):
            time.sleep(PAUSE * attempt)
            try:
                with self._answer(cid, {"format": "raw"}, "application/vnd.ipld.raw") as parts:
                    return parts.take(BLOCK_LIMIT + 1, short=True)
            except Unanswered as error:
                failure = str(error)
        raise StorageError(f"{self.name}, asked for block {cid}, {failure}")

    @contextmanager
    def tree(self, digest: Digest) -> Iterator["_Parts"]:
        """A stream of all blocks below a node, the node first. Raises Unanswered, also where there is no such thing."""
        cid = cid_text(digest, DAG_PB)
        try:
            with self._answer(cid, CAR, ACCEPT) as parts:
                parts.take(parts.varint(_HEADER_LIMIT))
                yield parts
        except StorageError as error:
            raise Unanswered(str(error)) from None

    @contextmanager
    def _answer(self, cid: str, options: dict[str, str], accept: str) -> Iterator["_Parts"]:
        request = self._client.stream("GET", cid, params=options, headers={"Accept": accept})
        with spoken(self._timeout), request as response:
            status = response.status_code
            if status in _MISSING:
                raise NotFound(f"{self.name} has no {cid} ({status}): see whether who published it is online")
            if status >= 500 or status == 429:
                raise Unanswered(f"answered {status}: try again later, or use another one")
            if status != 200:
                raise StorageError(f"{self.name}, asked for {cid}, answered {status}: see whether it is trustless")
            yield _Parts(response, self.patience)


class _Parts:
    """An answer's bytes, read as far as they are wanted."""

    def __init__(self, response: httpx.Response, patience: float) -> None:
        self._raw = response.iter_raw()
        self._patience = patience
        self._rest = bytearray()

    def take(self, size: int, *, short: bool = False) -> bytes:
        """Exactly `size` bytes; with `short` fewer where the answer ends before."""
        end = time.monotonic() + self._patience  # or a drop now and then would hold the reader for good
        while len(self._rest) < size:
            if time.monotonic() > end:
                raise silent(self._patience)
            part = next(self._raw, None)
            if part is None:
                if short:
                    break
                raise Unanswered("ended too early")
            self._rest += part
        taken = bytes(self._rest[:size])
        del self._rest[:size]
        return taken

    def varint(self, most: int) -> int:
        number = shift = 0
        while True:
            byte = self.take(1)[0]
            number |= (byte & 0x7F) << shift
            shift += 7
            if number > most or shift > 28:
                raise Unanswered("is no CAR")
            if byte < 0x80:
                return number

    def section(self) -> tuple[bytes, bytes]:
        """The next block and its digest, both as the gateway says. Only blocks of this protocol's CIDs have one."""
        size = self.varint(_CID_SIZE + BLOCK_LIMIT)
        if size < _CID_SIZE:
            raise Unanswered("sent something else than a tree of this protocol's blocks")
        return self.take(_CID_SIZE)[4:], self.take(size - _CID_SIZE)


class _Reader:
    """Gives `blocks.chunks` what it asks for: the root by itself, then the CAR's blocks, or single ones instead."""

    def __init__(self, store: GatewayStore) -> None:
        self._store = store
        self._root: Digest | None = None
        self._stack = ExitStack()
        self._car: _Parts | None = None
        self._asked = 0

    def __enter__(self) -> "_Reader":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __call__(self, codec: int, digest: Digest) -> bytes:
        self._asked += 1
        if self._asked == 1:
            self._root = digest
            return self._store.block(codec, digest)
        if self._asked == 2 and self._root is not None:  # the reader has accepted the root, and with it the size
            self._open(self._root)
        block = self._from_car(digest)
        return self._store.block(codec, digest) if block is None else block

    def _open(self, root: Digest) -> None:
        try:
            self._car = self._stack.enter_context(self._store.tree(root))
            self._from_car(root)
        except Unanswered:
            self._give_up()

    def _from_car(self, digest: Digest) -> bytes | None:
        """The CAR's next block where it says that it is the one asked for; else there is no CAR any more."""
        if self._car is None:
            return None
        try:
            named, block = self._car.section()
        except (Unanswered, httpx.HTTPError, httpx.StreamError):  # the answer is read outside of `_answer`
            named, block = b"", b""
        if named == digest:
            return block
        self._give_up()
        return None

    def _give_up(self) -> None:
        self._car = None
        self._stack.close()
