"""A Kubo node's RPC API as a store: files stream up and down, and nothing that the node says is believed.

Two clients speak to the node, behind one protocol: `ipfs_client` (ipfshttpclient) and `ipfs_http` (httpx).
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from itertools import islice
from pathlib import Path
from typing import Protocol, TypeVar
from urllib.parse import urlsplit

from .blocks import BLOCK_LIMIT, CHUNK, NODE_BYTES, WIDTH, Read, decode_node, leaves
from .codec import DAG_PB, RAW, cid_text, read_cid
from .errors import BadInput, DigestMismatch, Misshapen, NotFound, StorageError
from .store import SIDE_BY_SIDE, Digest, cid_of, fetch

PROFILE = {
    "cid-version": "1",
    "raw-leaves": "true",
    "hash": "sha2-256",
    "chunker": f"size-{CHUNK}",
    "max-file-links": str(WIDTH),
    "trickle": "false",
    "inline": "false",
}
"""How a node has to cut a file for it to have the protocol's CID (see `blocks`): the node's own defaults may differ."""

TRIES = 3
"""How often the node is asked for one thing: a transfer between peers may stall for good, and the next one not."""

PAUSE = 0.25
"""Seconds before the second try; twice that before the third."""

AHEAD = 8
"""Blocks of a file that are on their way at once. They are all that a transfer keeps in memory."""

T = TypeVar("T")


class NodeApi(Protocol):
    """The few calls of Kubo's RPC API that a store needs. `patience` is in seconds, without a byte or for a block.

    Every call raises `Unanswered` or `Refused` and nothing else, but for OSError where a file cannot be read.
    """

    name: str
    """The node's address, without what may be secret in it."""

    def add(self, path: Path, patience: float) -> str:
        """Adds and pins a file in `PROFILE`, streamed. Returns its CID."""

    def block(self, cid: str, most: int, patience: float) -> bytes:
        """A block, or the first `most` bytes of what the node says it is."""

    def has_block(self, cid: str, patience: float) -> None:
        """Returns where the node has a block, or gets it."""

    def pin(self, cid: str, patience: float) -> None:
        """Pins a tree of blocks."""

    def unpin(self, cid: str, patience: float) -> None:
        """Ends the pin of a tree."""

    def pins(self, cid: str | None, patience: float) -> list[str]:
        """The trees that are pinned as such; with a CID, that one alone."""


class Unanswered(Exception):
    """The node did not answer, or not to the end. The text says how, and what to do."""


class Refused(Exception):
    """The node answered with an error, whose text is the node's."""

    @property
    def missing(self) -> bool:
        """Whether it says that it has not found a block, in any of Kubo's ways to say so."""
        text = str(self).lower()
        return any(each in text for each in ("not found", "could not find", "deadline exceeded", "no providers"))

    @property
    def unpinned(self) -> bool:
        """Whether it says that something is not pinned."""
        return "not pinned" in str(self).lower()


def silent(patience: float) -> Unanswered:
    """A node from which nothing comes."""
    return Unanswered(f"gave nothing for {patience:.0f} s: see whether it is overloaded or cut off")


def unreachable(reason: object) -> Unanswered:
    """A node that is not there."""
    return Unanswered(f"cannot be reached ({reason}): see whether it runs, and whether 'store' names its address")


def broken_off(reason: object) -> Unanswered:
    """A node that went away in the middle."""
    return Unanswered(f"broke off ({reason}): see in its log whether it stopped, or its disk is full")


def refused(status: int, text: str) -> Refused:
    """An answer that is an error. `text` is Kubo's message, or the beginning of whatever came."""
    if status in (404, 405):
        return Refused(f"{status}: this is no RPC API; Kubo's is at port 5001, and a gateway is not one")
    if status in (401, 403):
        return Refused(f"{status}: it wants other credentials, or none from here (API.Authorizations in its config)")
    line = " ".join(text.split())[:300] or str(status)
    full = "no space left" in line.lower() or "storage max" in line.lower()
    return Refused(f"{line}: free space there, or raise Datastore.StorageMax" if full else line)


def shown(url: str) -> str:
    """An address as messages name it: without user, password, path and query."""
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}" + (f":{parts.port}" if parts.port else "")


class KuboStore:
    """Files in a Kubo node, and through it in IPFS.

    Args:
        api: how to reach the node.
        patience: seconds for one block, all tries together, or without progress of an upload; see also `store.fetch`.
    """

    def __init__(self, api: NodeApi, patience: float = 60.0) -> None:
        self.api = api
        self.patience = patience
        self.name = f"the IPFS node at {api.name}"
        # Enough that no file waits for the blocks of another, whose peers may give none.
        self._pool = ThreadPoolExecutor(AHEAD * SIDE_BY_SIDE, thread_name_prefix="block")

    # --- Store ---

    def put(self, path: Path) -> Digest:
        """See `Store.put`. The node pins the file."""
        ours = cid_of(path)
        theirs = self._ask(f"to keep {path}", self.api.add, path)
        if theirs != ours:
            with suppress(Unanswered, Refused):
                self.api.unpin(theirs, self.patience)
            raise StorageError(
                f"{self.name} filed {path} under {theirs}, but in this protocol's profile it is {ours}: "
                "the file changed meanwhile, or the node does not heed the profile; update it"
            )
        return read_cid(ours)[1]

    def get(self, digest: Digest, path: Path, limit: int) -> None:
        """See `Store.get`."""
        with closing(_Ahead(self._read, self._pool)) as ahead, self._to_blame():
            fetch(ahead, digest, path, limit, self.patience)

    def has(self, digest: Digest) -> bool:
        """Whether the node has all of the file's blocks, or gets them from its peers. May take as long as `get`."""
        if self._pinned_as(digest) is not None:
            return True
        try:
            with self._to_blame():
                for leaf in leaves(digest, self._read):
                    cid = cid_text(leaf, RAW)
                    self._ask(f"for block {cid}", self.api.has_block, cid)
        except NotFound:
            return False
        return True

    # --- pins ---

    def pin(self, digest: Digest) -> None:
        """Makes the node keep a file. Only for files whose size is known: it fetches all that it lacks."""
        codec = DAG_PB if self._read(RAW, digest)[:1] in _NODE_STARTS else RAW
        cid = cid_text(digest, codec)
        self._ask(f"to pin {cid}", self.api.pin, cid)

    def unpin(self, digest: Digest) -> None:
        """Lets the node forget a file when it next collects garbage. Nothing happens where it is not pinned."""
        if (cid := self._pinned_as(digest)) is not None:
            with suppress(_NotPinned):
                self._ask(f"to unpin {cid}", self.api.unpin, cid)

    def pins(self) -> frozenset[Digest]:
        """All files that the node keeps, also those that others have put there; not those of other profiles."""
        return frozenset(_digests(self._ask("for its pins", self.api.pins, None)))

    def _pinned_as(self, digest: Digest) -> str | None:
        for cid in (cid_text(digest, DAG_PB), cid_text(digest, RAW)):
            with suppress(_NotPinned):
                if cid in self._ask(f"for the pin {cid}", self.api.pins, cid):
                    return cid
        return None

    # --- asking ---

    def _read(self, codec: int, digest: Digest) -> bytes:
        cid = cid_text(digest, codec)
        # One byte more than any block has, so that a longer one is noticed.
        return self._ask(f"for block {cid}", self.api.block, cid, BLOCK_LIMIT + 1)

    def _ask(self, what: str, ask: Callable[..., T], *arguments: object) -> T:
        """What the node answers within `TRIES`."""
        failure: StorageError | None = None
        for attempt in range(TRIES):
            if attempt:
                time.sleep(PAUSE * attempt)
            try:
                return ask(*arguments, self.patience / TRIES)
            except Unanswered as error:
                failure = StorageError(f"{self.name}, asked {what}, {error}")
            except Refused as error:
                if error.unpinned:
                    raise _NotPinned from None
                if not error.missing:
                    raise StorageError(f"{self.name}, asked {what}, refused: {error}") from None
                failure = NotFound(
                    f"{self.name}, asked {what}, found it nowhere within {self.patience:.0f} s: "
                    "see whether who published it is online, and whether the node has peers (`ipfs swarm peers`)"
                )
        assert failure is not None
        raise failure

    @contextmanager
    def _to_blame(self) -> Iterator[None]:
        """Says of wrong bytes whose they were."""
        try:
            yield
        except DigestMismatch as error:
            raise DigestMismatch(
                f"{error}: {self.name}, or what stands between, is broken; `ipfs repo verify`, or use another store"
            ) from None


class _NotPinned(Exception):
    """What was asked about is not pinned."""


_NODE_STARTS = tuple(bytes([first]) for first in NODE_BYTES)


def _digests(cids: list[str]) -> Iterator[Digest]:
    for cid in cids:
        with suppress(BadInput):  # somebody's in another profile
            yield read_cid(cid)[1]


class _Ahead:
    """Reads the blocks that come next while their reader is busy: over a network most of the time is spent waiting.

    It follows nodes in the order in which `blocks.chunks` does. What is below a node is asked for only once the reader
    wants the first of it, for then the reader has accepted the node and, at the root, the file's size.
    """

    def __init__(self, read: Read, pool: ThreadPoolExecutor) -> None:
        self.read = read
        self.pool = pool
        self.next: deque[tuple[int, Digest]] = deque()
        self.coming: dict[tuple[int, Digest], Future[bytes]] = {}
        self.begun = False

    def __call__(self, codec: int, digest: Digest) -> bytes:
        wanted = codec, digest
        if self.next and self.next[0] == wanted:
            for each in islice(self.next, AHEAD):
                if each not in self.coming:
                    self.coming[each] = self.pool.submit(self.read, *each)
            self.next.popleft()
            block = self.coming[wanted].result()
            if wanted not in islice(self.next, AHEAD):  # equal chunks in a row are one block
                del self.coming[wanted]
        else:
            block = self.read(codec, digest)
        if codec == DAG_PB or not self.begun:
            self._below(block, digest)
        self.begun = True
        return block

    def close(self) -> None:
        for each in self.coming.values():
            each.cancel()

    def _below(self, block: bytes, digest: Digest) -> None:
        if block[:1] in _NODE_STARTS:
            with suppress(Misshapen):  # the reader will say so
                self.next.extendleft((link.codec, link.digest) for link in reversed(decode_node(block, digest)))
