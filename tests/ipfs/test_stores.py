"""Several stores as one, and which kinds there are."""

from contextlib import contextmanager
from hashlib import shake_256
from pathlib import Path

import pytest

from market_node.blocks import CHUNK
from market_node.codec import cid_text, read_cid
from market_node.errors import ConfigError, DigestMismatch, Misshapen, NotFound, StorageError, TooLarge
from market_node.gateway import GatewayStore
from market_node.ipfs_client import IpfsClientApi
from market_node.ipfs_http import HttpxApi
from market_node.kubo import KuboStore, Unanswered
from market_node.store import BlockStore
from market_node.stores import Stores, open_store

LIMIT = 1 << 20


class Failing:
    """A store that can do nothing but say why."""

    def __init__(self, failure: StorageError) -> None:
        self.failure = failure
        self.asked = 0

    def put(self, path: Path) -> bytes:
        raise self.failure

    def get(self, digest: bytes, path: Path, limit: int) -> None:
        self.asked += 1
        raise self.failure

    def has(self, digest: bytes) -> bool:
        raise self.failure


@pytest.fixture
def folder(tmp_path):
    return BlockStore(tmp_path / "blocks")


@pytest.fixture
def other(tmp_path):
    return BlockStore(tmp_path / "other")


@pytest.fixture
def model(tmp_path):
    (tmp_path / "model").write_bytes(b"a sealed model")
    return tmp_path / "model"


def test_files_go_to_the_first_store_alone(folder, other, model):
    digest = Stores([folder, other]).put(model)
    assert folder.has(digest)
    assert not other.has(digest)


def test_where_the_first_store_fails_it_is_said_and_no_other_is_used(other, model):
    with pytest.raises(StorageError, match=r"down \(files go to the first store alone"):
        Stores([Failing(StorageError("down")), other]).put(model)
    assert list(other.folder.iterdir()) == []


@pytest.mark.parametrize("failure", [StorageError("down"), DigestMismatch("wrong bytes")])
def test_a_store_that_fails_is_passed_over_with_a_warning(folder, model, tmp_path, caplog, failure):
    digest = folder.put(model)
    Stores([Failing(failure), folder]).get(digest, tmp_path / "copy", LIMIT)
    assert (tmp_path / "copy").read_bytes() == model.read_bytes()
    assert caplog.messages == [str(failure)]


def test_a_store_that_lacks_a_file_is_no_reason_to_warn(folder, other, model, tmp_path, caplog):
    Stores([other, folder]).get(folder.put(model), tmp_path / "copy", LIMIT)
    assert caplog.messages == []


def test_the_first_store_that_has_a_file_gives_it(folder, model, tmp_path):
    last = Failing(StorageError("down"))
    Stores([folder, last]).get(folder.put(model), tmp_path / "copy", LIMIT)
    assert last.asked == 0


@pytest.mark.parametrize("failure", [TooLarge("large"), Misshapen("no file")])
def test_what_the_right_bytes_say_no_other_store_is_asked(failure, tmp_path):
    last = Failing(StorageError("down"))
    with pytest.raises(type(failure)):
        Stores([Failing(failure), last]).get(bytes(32), tmp_path / "copy", LIMIT)
    assert last.asked == 0


@pytest.mark.parametrize(
    ("failures", "kind"),
    [
        ([NotFound("a"), NotFound("b")], NotFound),
        ([NotFound("a"), StorageError("b")], StorageError),
        ([StorageError("a"), NotFound("b")], StorageError),
        ([DigestMismatch("a"), NotFound("b")], DigestMismatch),
        ([DigestMismatch("a"), StorageError("b")], StorageError),
    ],
)
def test_only_where_every_store_says_so_a_file_is_missing(failures, kind, tmp_path):
    """Else a participant would be excluded because somebody's node was down."""
    with pytest.raises(kind, match="a; b") as failure:
        Stores([Failing(each) for each in failures]).get(bytes(32), tmp_path / "copy", LIMIT)
    assert type(failure.value) is kind


def test_one_store_that_has_it_all_is_enough(folder, other, model):
    digest = folder.put(model)
    assert Stores([other, folder]).has(digest)
    assert Stores([Failing(StorageError("down")), folder]).has(digest)
    assert not Stores([other]).has(digest)
    with pytest.raises(StorageError, match="down"):
        Stores([other, Failing(StorageError("down"))]).has(digest)


# --- kinds ---


def test_a_place_is_a_folder_a_kubo_node_or_a_gateway(tmp_path):
    folder = open_store(["blocks"], tmp_path, 1.0)
    assert isinstance(folder, BlockStore) and folder.folder == tmp_path / "blocks"
    kubo = open_store(["http://127.0.0.1:5001"], tmp_path, 7.0)
    assert isinstance(kubo, KuboStore) and isinstance(kubo.api, IpfsClientApi) and kubo.patience == 7.0
    several = open_store(["httpx+https://kubo.example", "gateway+https://gateway.example"], tmp_path, 7.0)
    assert isinstance(several, Stores)
    first, second = several.stores
    assert isinstance(first, KuboStore) and isinstance(first.api, HttpxApi)
    assert isinstance(second, GatewayStore)


@pytest.mark.filterwarnings("ignore:The 'strict' parameter:FutureWarning")
class Dripping:
    """What a peer gives that has a file, block by block, each of them just in time: by a node, or by a gateway."""

    name = "http://127.0.0.1:5001"

    def __init__(self, folder: BlockStore) -> None:
        self.folder, self.now = folder, 0.0

    def block(self, cid: str, most: int, patience: float) -> bytes:
        self.now += 59
        return (self.folder.folder / read_cid(cid)[1].hex()).read_bytes()


class DrippingGateway(GatewayStore):
    def __init__(self, peer: Dripping, patience: float) -> None:
        super().__init__("http://127.0.0.1:8080", patience)
        self.peer = peer

    def block(self, codec: int, digest: bytes) -> bytes:
        return self.peer.block(cid_text(digest, codec), 0, 0)

    @contextmanager
    def tree(self, digest: bytes):
        raise Unanswered("offers no CAR")
        yield


@pytest.mark.parametrize("kind", [KuboStore, DrippingGateway])
def test_a_node_and_a_gateway_wait_for_a_slow_file_no_longer_than_they_are_patient(kind, folder, tmp_path, monkeypatch):
    (tmp_path / "model").write_bytes(shake_256(b"a model").digest(20 * CHUNK))
    digest, mallory = folder.put(tmp_path / "model"), Dripping(folder)
    monkeypatch.setattr("market_node.store.monotonic", lambda: mallory.now)
    with pytest.raises(StorageError, match="gives it too slowly"):
        kind(mallory, 60.0).get(digest, tmp_path / "copy", 1 << 30)
    assert not (tmp_path / "copy").exists()


def test_what_is_secret_in_an_address_is_not_in_a_message(tmp_path, model):
    for kind in ("", "httpx+"):
        store = open_store([f"{kind}http://alice:hunter2@127.0.0.1:1/token"], tmp_path, 0.5)
        with pytest.raises(StorageError, match=r"at http://127\.0\.0\.1:1,") as failure:
            store.put(model)
        assert "hunter2" not in str(failure.value) and "token" not in str(failure.value)


@pytest.mark.parametrize("places", [[], [""], ["ftp://a"], ["gateway+http://a", "blocks"], ["http://"]])
def test_other_places_are_refused(tmp_path, places):
    with pytest.raises(ConfigError, match="'store'"):
        open_store(places, tmp_path, 1.0)
