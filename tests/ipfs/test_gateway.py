"""A gateway that is believed in nothing: files by CAR, by single blocks where that fails, none where it lies."""

import pytest

from market_node.blocks import CHUNK
from market_node.codec import RAW, cid_text
from market_node.errors import DigestMismatch, NotFound, StorageError, TooLarge
from market_node.gateway import GatewayStore
from market_node.ipfs_http import HttpxApi
from market_node.kubo import KuboStore
from market_node.store import cid_of
from tests.ipfs.proxy import Endless, Proxy
from tests.ipfs.test_kubo import LIMIT, NOWHERE, altered, closed_port, names


@pytest.fixture
def gateway(peers):
    if not peers.gateway:
        pytest.skip("no gateway: MARKET_NODE_GATEWAY names none")
    return peers.gateway


@pytest.fixture
def put(peers):
    return KuboStore(HttpxApi(peers.alice)).put


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 200 * CHUNK])
def test_a_file_comes_from_a_gateway(gateway, put, write, tmp_path, size):
    path = write(size)
    GatewayStore(gateway).get(put(path), tmp_path / "copy", size)
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_a_large_file_is_two_requests(gateway, put, write, tmp_path):
    digest = put(write(20 * CHUNK))
    with Proxy(gateway) as proxy:
        GatewayStore(proxy.url).get(digest, tmp_path / "copy", LIMIT)
    assert ["format=raw" in head or "format=car&dag-scope=all" in head for head in proxy.heads] == [True, True]


def test_equal_chunks_come_each_in_its_place(gateway, put, tmp_path):
    (tmp_path / "model").write_bytes(bytes(5 * CHUNK) + b"end")
    GatewayStore(gateway).get(put(tmp_path / "model"), tmp_path / "copy", LIMIT)
    assert (tmp_path / "copy").read_bytes() == (tmp_path / "model").read_bytes()


@pytest.mark.parametrize("fault", [{"cuts": 1}, {"stalls": 1}], ids=["cut", "stalled"])
def test_what_a_broken_car_lacks_comes_block_by_block(gateway, put, write, tmp_path, fault):
    path = write(8 * CHUNK)
    digest = put(path)
    with Proxy(gateway, after=3 * CHUNK, **fault) as proxy:
        GatewayStore(proxy.url, 1.5).get(digest, tmp_path / "copy", LIMIT)
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()
    assert 5 <= sum("format=raw" in head for head in proxy.heads) < 9


def test_a_gateway_without_car_gives_blocks(gateway, put, write, tmp_path):
    path = write(5 * CHUNK)
    digest = put(path)
    with Proxy(gateway, up=lambda data: data.replace(b"format=car", b"format=tar")) as proxy:
        GatewayStore(proxy.url).get(digest, tmp_path / "copy", LIMIT)
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_a_car_of_something_else_is_not_used(gateway, put, write, tmp_path):
    """The gateway gives another file's blocks, as they are: no lie about any of them, and not what was asked for."""
    path, other = write(3 * CHUNK), write(3 * CHUNK, "other")
    digest, foreign = put(path), put(other)

    def up(data: bytes) -> bytes:
        return data.replace(cid_of(path).encode(), cid_of(other).encode()) if b"format=car" in data else data

    assert digest != foreign
    with Proxy(gateway, up=up) as proxy:
        GatewayStore(proxy.url).get(digest, tmp_path / "copy", LIMIT)
    assert (tmp_path / "copy").read_bytes() == path.read_bytes()


def test_a_gateway_that_lies_is_named(gateway, put, write, tmp_path):
    digest = put(write(4 * CHUNK))
    with Proxy(gateway, down=altered) as proxy, pytest.raises(DigestMismatch, match=f"{proxy.url} is broken or lies"):
        GatewayStore(proxy.url).get(digest, tmp_path / "copy", LIMIT)
    assert names(tmp_path) == ["model"]


@pytest.mark.parametrize("head", [b"Content-Length: 1099511627776", b"Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFF"])
def test_an_endless_answer_is_not_read_to_its_end(tmp_path, head):
    with Endless(head) as mallory:
        with pytest.raises(DigestMismatch):
            GatewayStore(mallory.url).get(NOWHERE, tmp_path / "copy", LIMIT)
        assert mallory.sent < 20_000_000


def test_a_file_past_the_limit_is_refused_after_its_first_block(gateway, put, write, tmp_path):
    digest = put(write(4 * CHUNK))
    with Proxy(gateway) as proxy, pytest.raises(TooLarge):
        GatewayStore(proxy.url).get(digest, tmp_path / "copy", 4 * CHUNK - 1)
    assert len(proxy.heads) == 1


def test_it_has_what_the_node_behind_it_has(gateway, put, write):
    assert GatewayStore(gateway).has(put(write(3 * CHUNK)))


def test_what_it_does_not_give_is_not_found(helia, tmp_path):
    store = GatewayStore(helia.gateway + "/nowhere")
    with pytest.raises(NotFound, match=cid_text(NOWHERE, RAW)):
        store.get(NOWHERE, tmp_path / "copy", LIMIT)
    assert not store.has(NOWHERE)


def test_a_gateway_that_is_down_is_never_a_missing_file(tmp_path):
    with pytest.raises(StorageError, match="cannot be reached") as failure:
        GatewayStore(closed_port()).get(NOWHERE, tmp_path / "copy", LIMIT)
    assert type(failure.value) is StorageError


def test_a_gateway_keeps_nothing(write):
    with pytest.raises(StorageError, match="name a folder or a Kubo node first"):
        GatewayStore("http://localhost").put(write(1))
