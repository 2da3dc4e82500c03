"""Files in IPFS, through a real node: there and back, and what becomes of a node that fails or lies."""

import resource
import socket
import tracemalloc
from math import inf

import pytest

from market_node.blocks import CHUNK
from market_node.codec import DAG_PB, RAW, cid_text
from market_node.errors import DigestMismatch, NotFound, StorageError, TooLarge
from market_node.kubo import KuboStore
from market_node.store import cid_of
from tests.ipfs.peers import Peer, rpc
from tests.ipfs.proxy import Endless, Proxy

LIMIT = 1 << 40
pytestmark = pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")
NOWHERE = bytes(range(32))


def closed_port() -> str:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- there and back ---


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 10_000_000])
def test_what_alice_publishes_bob_fetches(peers, opened, write, tmp_path, size):
    if not peers.bob:
        pytest.skip("no second peer: MARKET_NODE_KUBO names one node alone")
    path = write(size)
    digest = opened(peers.alice).put(path)
    assert cid_of(path) in (cid_text(digest, RAW), cid_text(digest, DAG_PB))
    opened(peers.bob, 30.0).get(digest, tmp_path / "copy", size)
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_alice_has_what_she_has_put_and_nothing_else(peers, opened, write):
    alice = opened(peers.alice, 1.0)
    assert alice.has(alice.put(write(CHUNK + 1)))
    assert not alice.has(NOWHERE)


def test_bob_has_what_alice_gives_him(peers, opened, write):
    if not peers.bob:
        pytest.skip("no second peer")
    digest = opened(peers.alice).put(write(3 * CHUNK))
    assert opened(peers.bob, 30.0).has(digest)


def test_equal_chunks_come_back_each_in_its_place(peers, opened, tmp_path):
    (tmp_path / "model").write_bytes(bytes(5 * CHUNK) + b"x" * CHUNK + bytes(12 * CHUNK) + b"end")
    alice = opened(peers.alice)
    alice.get(alice.put(tmp_path / "model"), tmp_path / "copy", LIMIT)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "model").read_bytes()


def test_a_file_is_streamed_up_and_down(peers, opened, write, tmp_path):
    path, alice = write(20_000_000), opened(peers.alice)
    tracemalloc.start()
    try:
        alice.get(alice.put(path), tmp_path / "copy", LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 10_000_000


# --- pins ---


def test_what_is_put_is_pinned_until_it_is_unpinned(peers, opened, write):
    alice = opened(peers.alice)
    digest, small = alice.put(write(CHUNK + 1)), alice.put(write(10, "small"))
    assert {digest, small} <= alice.pins()
    alice.unpin(digest)
    alice.unpin(digest)  # not twice: nothing happens
    assert small in alice.pins()
    assert digest not in alice.pins()
    alice.pin(digest)
    alice.pin(digest)
    alice.pin(small)
    assert {digest, small} <= alice.pins()


def test_what_is_unpinned_goes_with_the_garbage(helia, opened, write, tmp_path):
    alice = opened(helia.alice, 1.5)
    kept, gone = alice.put(write(2 * CHUNK, "kept")), alice.put(write(2 * CHUNK, "gone"))
    alice.unpin(gone)
    rpc(helia.alice, "repo/gc")
    alice.get(kept, tmp_path / "copy", LIMIT)
    with pytest.raises(NotFound):
        alice.get(gone, tmp_path / "copy", LIMIT)


# --- what is not there, or too large ---


def test_a_missing_file_is_named_with_what_to_do(peers, opened, tmp_path):
    with pytest.raises(NotFound, match=f"{cid_text(NOWHERE, RAW)}.* nowhere within 1 s: .*online"):
        opened(peers.alice, 0.9).get(NOWHERE, tmp_path / "copy", LIMIT)
    assert names(tmp_path) == []


def test_a_missing_leaf_leaves_no_half_file(helia, opened, write, tmp_path):
    path, alice = write(5 * CHUNK), opened(helia.alice, 0.9)
    digest = alice.put(path)
    with open(path, "rb") as file:
        file.seek(3 * CHUNK)
        (tmp_path / "leaf").write_bytes(file.read(CHUNK))
    leaf = cid_of(tmp_path / "leaf")
    rpc(helia.alice, "block/rm", arg=leaf)
    with pytest.raises(NotFound, match=leaf):
        alice.get(digest, tmp_path / "copy", LIMIT)
    assert names(tmp_path) == ["leaf", "model"]


def test_a_file_past_the_limit_is_refused_after_its_first_block(peers, opened, write, tmp_path):
    with Proxy(peers.alice) as proxy:
        alice = opened(proxy.url)
        digest = alice.put(write(4 * CHUNK))
        proxy.heads.clear()
        with pytest.raises(TooLarge, match=f"{4 * CHUNK} bytes, more than {4 * CHUNK - 1}"):
            alice.get(digest, tmp_path / "copy", 4 * CHUNK - 1)
        assert len(proxy.heads) == 1


# --- a node that is down, slow or full ---


def test_a_node_that_is_down_is_never_a_missing_file(opened, write, tmp_path):
    store, path = opened(closed_port()), write(10)
    for ask in (
        lambda: store.put(path),
        lambda: store.get(NOWHERE, tmp_path / "copy", LIMIT),
        lambda: store.has(NOWHERE),
        lambda: store.pins(),
    ):
        with pytest.raises(StorageError, match=r"cannot be reached .*: see whether it runs") as failure:
            ask()
        assert type(failure.value) is StorageError
        assert "\n" not in str(failure.value)


def test_a_transfer_that_stalls_for_good_is_begun_again(peers, opened, write, tmp_path):
    path = write(3_000_000)
    with Proxy(peers.alice, stalls=1) as proxy:
        digest = opened(proxy.url, 1.5).put(path)
        assert proxy.stalls == 0
    with Proxy(peers.alice, stalls=2, after=200_000) as proxy:
        opened(proxy.url, 1.5).get(digest, tmp_path / "copy", LIMIT)
        assert proxy.stalls == 0
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_a_transfer_that_breaks_off_is_begun_again(peers, opened, write, tmp_path):
    path = write(3_000_000)
    with Proxy(peers.alice, cuts=1) as proxy:
        digest = opened(proxy.url).put(path)
        assert proxy.cuts == 0
    with Proxy(peers.alice, cuts=2) as proxy:
        opened(proxy.url).get(digest, tmp_path / "copy", LIMIT)
        assert proxy.cuts == 0
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_a_node_that_always_stalls_is_given_up(peers, opened, write, tmp_path):
    digest = opened(peers.alice).put(write(2 * CHUNK))
    with Proxy(peers.alice, stalls=inf, after=CHUNK // 2) as proxy, pytest.raises(StorageError, match="gave nothing"):
        opened(proxy.url, 0.9).get(digest, tmp_path / "copy", LIMIT)
    assert names(tmp_path) == ["model"]


def test_a_node_whose_disk_is_full_says_so(helia, opened, write, tmp_path):
    carol = Peer(tmp_path / "carol", most=1_000_000)
    try:
        with pytest.raises(StorageError, match="no space left on device: free space there"):
            opened(carol.ready().url).put(write(3_000_000))
    finally:
        carol.stop()


def test_a_full_disk_here_leaves_no_half_file(peers, opened, write, tmp_path):
    alice = opened(peers.alice)
    digest = alice.put(write(2_000_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, hard))  # no file can be longer
    try:
        with pytest.raises(StorageError, match=r"cannot write .*copy"):
            alice.get(digest, tmp_path / "copy", LIMIT)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert names(tmp_path) == ["model"]


# --- a node that lies ---


def altered(data: bytes) -> bytes:
    """The same with one bit changed, where it is the inside of a block."""
    return data if len(data) < 10_000 else data[:5_000] + bytes([data[5_000] ^ 1]) + data[5_001:]


def test_wrong_bytes_are_noticed_and_their_giver_named(peers, opened, write, tmp_path):
    with Proxy(peers.alice, down=altered) as proxy:
        mallory = opened(proxy.url)
        for size in (CHUNK, 3 * CHUNK):
            digest = opened(peers.alice).put(write(size))
            with pytest.raises(DigestMismatch, match=f"the IPFS node at {proxy.url}, .* is broken"):
                mallory.get(digest, tmp_path / "copy", LIMIT)
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("head", [b"Content-Length: 1099511627776", b"Connection: close"])
def test_an_endless_block_is_not_read_to_its_end(opened, tmp_path, head):
    with Endless(head) as mallory:
        with pytest.raises(DigestMismatch):
            opened(mallory.url).get(NOWHERE, tmp_path / "copy", LIMIT)
        assert mallory.sent < 20_000_000, "one block, and what lies in buffers"


@pytest.mark.parametrize("status", [b"200 OK", b"500 Internal Server Error"])
def test_an_endless_answer_is_not_read_to_its_end(opened, write, status):
    with Endless(status=status) as mallory:
        with pytest.raises(StorageError):
            opened(mallory.url, 10.0).put(write(10))
        assert mallory.sent < 100_000_000, "three times what an answer may have at most"


def test_an_endless_chunk_is_not_read_to_its_end(opened, tmp_path):
    with Endless(b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFF") as mallory:
        with pytest.raises(DigestMismatch):
            opened(mallory.url).get(NOWHERE, tmp_path / "copy", LIMIT)
        assert mallory.sent < 20_000_000


def test_a_node_that_cuts_a_file_otherwise_is_told_from_ours(peers, opened, write):
    """As one does that does not know the profile: chunks of 128 KiB, so the CID is another."""
    with Proxy(peers.alice, up=lambda data: data.replace(b"size-262144", b"size-131072")) as proxy:
        store, path = opened(proxy.url), write(2 * CHUNK)
        before = store.pins()
        with pytest.raises(StorageError, match=f"in this protocol's profile it is {cid_of(path)}"):
            store.put(path)
        assert store.pins() == before


def test_an_address_that_is_no_rpc_api_is_told(peers, api, write):
    with pytest.raises(StorageError, match="404: this is no RPC API"):
        KuboStore(api(peers.alice + "/elsewhere"), 3.0).put(write(10))
