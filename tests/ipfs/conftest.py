"""Two IPFS peers, of Alice and of Bob, that know each other."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from market_node.ipfs_client import IpfsClientApi
from market_node.ipfs_http import HttpxApi
from market_node.kubo import KuboStore, NodeApi
from tests.ipfs.peers import GATEWAY, KUBO, Peer, node


@dataclass
class Pair:
    """The addresses of two peers' RPC APIs; Bob has none where only one Kubo was named."""

    alice: str
    bob: str
    gateway: str
    """Of Alice."""
    helia: bool


@pytest.fixture(scope="session")
def peers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if KUBO:
        yield Pair(KUBO[0], KUBO[1] if len(KUBO) > 1 else "", GATEWAY, helia=False)
        return
    if node() is None:
        pytest.skip("no IPFS here: `npm install` brings Helia, MARKET_NODE_KUBO names a Kubo")
    folder = tmp_path_factory.mktemp("peers")
    alice, bob = Peer(folder / "alice"), Peer(folder / "bob")
    try:
        bob.ready().connect(alice.ready())
        yield Pair(alice.url, bob.url, alice.url, helia=True)
    finally:
        alice.stop()
        bob.stop()


@pytest.fixture
def helia(peers: Pair) -> Pair:
    """What would be rude to do to somebody's Kubo."""
    if not peers.helia:
        pytest.skip("removes blocks: not from your Kubo")
    return peers


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses, and little time for nodes that do not answer."""
    monkeypatch.setattr("market_node.kubo.PAUSE", 0.01)
    monkeypatch.setattr("market_node.gateway.PAUSE", 0.01)
    monkeypatch.setattr("market_node.ipfs_http.MARGIN", 0.5)
    monkeypatch.setattr("market_node.ipfs_client.MARGIN", 0.5)


@pytest.fixture(params=[HttpxApi, IpfsClientApi], ids=["httpx", "ipfshttpclient"])
def api(request: pytest.FixtureRequest) -> Callable[[str], NodeApi]:
    return request.param


Open = Callable[..., KuboStore]


@pytest.fixture
def opened(api: Callable[[str], NodeApi]) -> Open:
    """A store at an address, by each of the clients. It is not patient."""
    return lambda url, patience=6.0: KuboStore(api(url), patience)


Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path, request: pytest.FixtureRequest) -> Write:
    """A file that no other test has stored."""

    def file(size: int, name: str = "model") -> Path:
        (tmp_path / name).write_bytes(hashlib.shake_256(f"{request.node.name} {name}".encode()).digest(size))
        return tmp_path / name

    return file
