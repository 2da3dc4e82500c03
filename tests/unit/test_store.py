"""The block store: the CIDs of the reference importer, and nothing believed."""

import hashlib
import json
import multiprocessing
import tracemalloc
from pathlib import Path

import pytest

import market_node.blocks as blocks
import market_node.store as store_module
from market_node.blocks import CHUNK, WIDTH, Link, build, encode_node
from market_node.codec import DAG_PB, RAW, cid_text, read_cid
from market_node.errors import BadInput, DigestMismatch, Misshapen, NotFound, StorageError, TooLarge
from market_node.store import BlockStore, cid_of, fetch

VECTORS = json.loads((Path(__file__).parent.parent / "vectors" / "cids.json").read_text())
LIMIT = 1 << 40


def stream(size):
    return hashlib.shake_256(b"market-node").digest(size)


@pytest.fixture
def store(tmp_path):
    return BlockStore(tmp_path / "blocks")


@pytest.fixture
def file(tmp_path):
    return lambda contents: write(tmp_path / "file", contents)


def write(path, contents):
    path.write_bytes(contents)
    return path


@pytest.fixture
def small_tree(monkeypatch):
    """Trees several levels deep over a thousand bytes."""
    monkeypatch.setattr(blocks, "CHUNK", VECTORS["small"]["chunk"])
    monkeypatch.setattr(blocks, "WIDTH", VECTORS["small"]["width"])


def names(folder):
    return sorted(path.name for path in folder.iterdir())


# --- CIDs ---


@pytest.mark.parametrize("vector", VECTORS["files"], ids=lambda vector: str(vector["size"]))
def test_cids_are_those_of_the_reference_importer(file, vector):
    assert cid_of(file(stream(vector["size"]))) == vector["cid"]


def test_a_deep_tree_has_the_cid_of_the_reference_importer(file, small_tree):
    assert cid_of(file(stream(1000))) == VECTORS["small"]["cid"]


def test_hello_world_has_the_cid_that_everybody_knows(file):
    assert cid_of(file(b"hello world")) == "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"


# --- there and back ---


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 5 * CHUNK, WIDTH * CHUNK + 1])
def test_a_file_comes_back_under_its_digest(store, file, tmp_path, size):
    contents = stream(size)
    digest = store.put(file(contents))
    assert cid_of(tmp_path / "file") in (cid_text(digest, RAW), cid_text(digest, DAG_PB))
    assert store.has(digest)
    store.get(digest, tmp_path / "copy", size)
    assert (tmp_path / "copy").read_bytes() == contents
    assert names(tmp_path) == ["blocks", "copy", "file"]


def test_every_depth_comes_back(store, file, tmp_path, small_tree):
    for size in [*range(0, 200, 7), 16 * 27, 16 * 27 + 1, 16 * 81, 16 * 81 + 1, 4000]:
        store.get(store.put(file(stream(size))), tmp_path / "copy", size)
        assert (tmp_path / "copy").read_bytes() == stream(size)


def test_equal_chunks_are_kept_once(store, file, tmp_path):
    digest = store.put(file(bytes(300 * CHUNK)))
    assert len(names(store.folder)) == 4, "one leaf, a full node, a short node, a root"
    store.get(digest, tmp_path / "copy", LIMIT)
    assert (tmp_path / "copy").stat().st_size == 300 * CHUNK


def test_a_file_is_streamed(store, file, tmp_path):
    path = file(stream(40 * CHUNK))
    tracemalloc.start()
    try:
        store.get(store.put(path), tmp_path / "copy", LIMIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 12 * CHUNK  # of 40


def test_putting_again_changes_nothing_and_repairs_what_is_damaged(store, file, tmp_path):
    contents = stream(3 * CHUNK)
    digest = store.put(file(contents))
    before = {name: (store.folder / name).stat().st_ino for name in names(store.folder)}
    damaged = hashlib.sha256(contents[:CHUNK]).hexdigest()
    (store.folder / damaged).write_bytes(b"half of it")
    assert store.put(file(contents)) == digest
    after = {name: (store.folder / name).stat().st_ino for name in names(store.folder)}
    assert {name for name in before if before[name] != after[name]} == {damaged}
    store.get(digest, tmp_path / "copy", LIMIT)


@pytest.mark.parametrize("first", [b"\x0a", b"\x12"])
def test_a_short_file_that_looks_like_a_node_is_refused(store, file, first):
    with pytest.raises(BadInput, match="0x" + first.hex()):
        store.put(file(first + b"model"))
    assert names(store.folder) == []


def test_a_long_file_may_begin_like_a_node(store, file, tmp_path):
    contents = b"\x12" + bytes(CHUNK)
    store.get(store.put(file(contents)), tmp_path / "copy", LIMIT)
    assert (tmp_path / "copy").read_bytes() == contents


def put_all(folder, paths):
    for path in paths:
        BlockStore(folder).put(path)


def test_processes_share_a_folder(tmp_path):
    paths = [write(tmp_path / f"file {n}", bytes([n]) * CHUNK + stream(2 * CHUNK)) for n in range(6)]
    fork = multiprocessing.get_context("fork")
    workers = [fork.Process(target=put_all, args=(tmp_path / "blocks", paths[n:] + paths[:n])) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30)
        assert worker.exitcode == 0
    store = BlockStore(tmp_path / "blocks")
    assert len(names(store.folder)) == 6 + 2 + 6, "own leaves, shared leaves, roots; nothing unfinished"
    for path in paths:
        store.get(read_cid(cid_of(path))[1], tmp_path / "copy", LIMIT)


def test_a_name_appears_only_when_its_bytes_are_on_the_disk(store, file, monkeypatch):
    synced = set()

    def sync(path):
        if path == store.folder:
            synced.add("folder")
        else:
            synced.add(hashlib.sha256(path.read_bytes()).hexdigest())
            assert not set(names(store.folder)) - synced - {p.name for p in store.folder.glob(".*")}

    monkeypatch.setattr(store_module, "sync", sync)
    store.put(file(stream(100 * CHUNK)))
    assert synced == {"folder", *names(store.folder)}


def test_a_full_disk_leaves_no_half_block(store, file, monkeypatch):
    def sync(path):
        raise OSError("no space left on device")

    monkeypatch.setattr(store_module, "sync", sync)
    with pytest.raises(StorageError, match="no space left"):
        store.put(file(stream(CHUNK + 1)))
    assert names(store.folder) == []


# --- what is refused ---


def test_a_missing_file_is_named(store, tmp_path):
    digest = hashlib.sha256(b"never put").digest()
    assert not store.has(digest)
    with pytest.raises(NotFound, match=cid_text(digest, RAW)):
        store.get(digest, tmp_path / "copy", LIMIT)


def test_every_missing_block_is_named(store, file, tmp_path, small_tree):
    digest = store.put(file(stream(400)))
    for name in names(store.folder):
        contents = (store.folder / name).read_bytes()
        (store.folder / name).unlink()
        cids = [cid_text(bytes.fromhex(name), codec) for codec in (RAW, DAG_PB)]
        with pytest.raises(NotFound, match="|".join(cids)):
            store.get(digest, tmp_path / "copy", LIMIT)
        assert not store.has(digest)
        (store.folder / name).write_bytes(contents)
    assert store.has(digest)
    assert not (tmp_path / "copy").exists()


def test_every_damaged_block_is_noticed(store, file, tmp_path, small_tree):
    digest = store.put(file(stream(400)))
    for name in names(store.folder):
        contents = (store.folder / name).read_bytes()
        for damaged in (contents[:-1], contents + b"\0", b"", bytes([contents[0] ^ 1]) + contents[1:]):
            (store.folder / name).write_bytes(damaged)
            with pytest.raises(DigestMismatch):
                store.get(digest, tmp_path / "copy", LIMIT)
        (store.folder / name).write_bytes(contents)
    assert names(tmp_path) == ["blocks", "file"]


def test_an_endless_block_is_not_read_to_its_end(store, file, tmp_path):
    digest = store.put(file(b"short"))
    with open(store.folder / digest.hex(), "wb") as sparse:
        sparse.truncate(1 << 40)
    with pytest.raises(DigestMismatch):
        store.get(digest, tmp_path / "copy", LIMIT)


@pytest.mark.parametrize("size", [1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_a_file_past_the_limit_is_refused_before_its_leaves_are_read(store, file, tmp_path, size):
    digest = store.put(file(stream(size)))
    asked = []

    def read(codec, digest):
        asked.append(digest)
        return (store.folder / digest.hex()).read_bytes()

    with pytest.raises(TooLarge, match=f"{size} bytes, more than {size - 1}"):
        fetch(read, digest, tmp_path / "copy", size - 1)
    assert asked == [digest]
    assert not (tmp_path / "copy").exists()


class Forger:
    """Blocks of trees that no file has."""

    def __init__(self):
        self.kept = {}

    def leaf(self, contents, size=None):
        return self.keep(RAW, contents, len(contents) if size is None else size)

    def node(self, *links, size=None):
        return self.keep(DAG_PB, encode_node(links), sum(link.size for link in links) if size is None else size)

    def keep(self, codec, block, size):
        digest = hashlib.sha256(block).digest()
        self.kept[digest] = block
        return Link(codec, digest, size, len(block))

    def fetch(self, root, path):
        fetch(lambda codec, digest: self.kept[digest], root.digest, path, 1 << 50)


FULL = bytes(CHUNK)


@pytest.mark.parametrize(
    "tree",
    [
        lambda f: f.keep(DAG_PB, b"\x12", 0),
        lambda f: f.keep(DAG_PB, b"\x0a\x02\x08\x02", 0),
        lambda f: f.keep(DAG_PB, encode_node([f.leaf(FULL), f.leaf(b"x")]) + b"\0", 0),
        lambda f: f.keep(DAG_PB, encode_node([f.leaf(FULL), f.leaf(b"x")])[:-1], 0),
        lambda f: f.keep(DAG_PB, b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + bytes(60), 0),
        lambda f: f.leaf(FULL + b"x"),
        lambda f: f.node(),
        lambda f: f.node(f.leaf(b"x")),
        lambda f: f.node(f.leaf(FULL)),
        lambda f: f.node(f.leaf(b"x"), f.leaf(FULL)),
        lambda f: f.node(f.leaf(FULL), f.leaf(b"")),
        lambda f: f.node(f.leaf(FULL), f.leaf(FULL + b"x")),
        lambda f: f.node(f.leaf(FULL), f.leaf(b"xy", size=1)),
        lambda f: f.node(f.leaf(FULL), f.leaf(b"x", size=2)),
        lambda f: f.node(f.leaf(FULL), f.keep(0x71, b"x", 1)),
        lambda f: f.node(f.node(f.leaf(FULL), f.leaf(b"x"))),
        lambda f: f.node(f.node(f.leaf(FULL), f.leaf(FULL)), f.leaf(b"x")),
        lambda f: f.node(*[f.leaf(FULL)] * (WIDTH + 1)),
        lambda f: f.node(f.node(*[f.leaf(FULL)] * WIDTH), f.leaf(b"x")),
        lambda f: f.node(f.node(*[f.leaf(FULL)] * WIDTH), f.node(f.leaf(b"x"), size=2)),
        lambda f: f.node(f.node(*[f.leaf(FULL)] * (WIDTH - 1), size=WIDTH * CHUNK), f.node(f.leaf(b"x"))),
    ],
)
def test_a_tree_that_the_profile_does_not_build_is_refused(tmp_path, tree):
    forger = Forger()
    with pytest.raises(Misshapen):
        forger.fetch(tree(forger), tmp_path / "copy")
    assert names(tmp_path) == []


def test_the_forger_can_build_what_is_accepted(tmp_path):
    """Else the test above could pass for a reason of its own."""
    forger = Forger()
    forger.fetch(forger.node(forger.node(*[forger.leaf(FULL)] * WIDTH), forger.node(forger.leaf(b"x"))), tmp_path / "a")
    forger.fetch(forger.node(forger.leaf(FULL), forger.leaf(b"x")), tmp_path / "b")
    assert (tmp_path / "a").stat().st_size == WIDTH * CHUNK + 1
    assert (tmp_path / "b").read_bytes() == FULL + b"x"


def test_a_small_tree_that_claims_to_be_huge_is_too_large(tmp_path):
    """174 links to one block, level upon level: half a kilobyte a level that would unfold to petabytes."""
    forger = Forger()
    link = forger.leaf(FULL)
    for _ in range(5):
        link = forger.node(*[link] * WIDTH)
    with pytest.raises(TooLarge):
        forger.fetch(link, tmp_path / "copy")


def test_links_of_links_are_looked_up_once(store):
    forger = Forger()
    link = forger.leaf(FULL)
    for _ in range(5):
        link = forger.node(*[link] * WIDTH)
    for digest, block in forger.kept.items():
        (store.folder / digest.hex()).write_bytes(block)
    assert store.has(link.digest)


def test_a_link_to_what_is_neither_leaf_nor_node_is_refused(store):
    forger = Forger()
    root = forger.node(forger.leaf(FULL), forger.keep(0x71, b"x", 1))
    for digest, block in forger.kept.items():
        (store.folder / digest.hex()).write_bytes(block)
    with pytest.raises(StorageError, match="not a node"):
        store.has(root.digest)


class Clock:
    """Each block takes `pause` seconds, and nothing else any."""

    def __init__(self, monkeypatch, store, pause):
        self.store, self.pause, self.now, self.asked = store, pause, 0.0, 0
        monkeypatch.setattr(store_module, "monotonic", lambda: self.now)

    def read(self, codec, digest):
        self.now += self.pause
        self.asked += 1
        return (self.store.folder / digest.hex()).read_bytes()


def test_a_peer_that_gives_each_block_just_in_time_holds_nobody_for_hours(store, file, tmp_path, monkeypatch):
    digest, mallory = store.put(file(stream(100 * CHUNK))), Clock(monkeypatch, store, pause=59)
    with pytest.raises(StorageError, match="gives it too slowly") as failure:
        fetch(mallory.read, digest, tmp_path / "copy", LIMIT, patience=60)
    assert type(failure.value) is StorageError, "slow is not missing"
    assert mallory.now < 3 * 60
    assert names(tmp_path) == ["blocks", "file"]


def test_a_file_that_comes_at_the_least_rate_may_take_as_long_as_it_has_blocks(store, file, tmp_path, monkeypatch):
    digest, alice = store.put(file(stream(100 * CHUNK))), Clock(monkeypatch, store, pause=1)
    fetch(alice.read, digest, tmp_path / "copy", LIMIT, patience=10)
    assert alice.now > 100


def test_a_file_whose_last_block_was_late_is_there(store, file, tmp_path, monkeypatch):
    digest, alice = store.put(file(stream(CHUNK))), Clock(monkeypatch, store, pause=61)
    fetch(alice.read, digest, tmp_path / "copy", LIMIT, patience=60)
    assert (tmp_path / "copy").read_bytes() == stream(CHUNK)


def test_a_damaged_node_is_never_taken_for_another(small_tree, file):
    """Each byte of a node matters: whatever decodes, encodes to the same bytes."""
    kept = {}
    with open(file(stream(40)), "rb") as source:
        root = build(source, lambda digest, block: kept.update({digest: block}))
    node = kept[root.digest]
    assert encode_node(blocks.decode_node(node, root.digest)) == node
    for at in range(len(node)):
        for bit in range(8):
            damaged = node[:at] + bytes([node[at] ^ 1 << bit]) + node[at + 1 :]
            try:
                decoded = blocks.decode_node(damaged, root.digest)
            except StorageError:
                continue
            assert encode_node(decoded) == damaged
