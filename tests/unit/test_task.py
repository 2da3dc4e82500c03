"""Task files: one spelling, one digest, nothing unknown."""

import hashlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from market_node.errors import BadInput
from market_node.store import BlockStore
from market_node.task import TASK_LIMIT, Task, parse_task, task_bytes
from market_node.weights import TensorSpec

BASE = "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
MANIFEST = (TensorSpec("bias", (10,), "F32"), TensorSpec("weight", (10, 64), "BF16", 20))
DIGITS = Task(
    name="digits",
    manifest=MANIFEST,
    base_cid=BASE,
    description="Handwritten digits, 8 × 8.\nTen classes.",
    licence="CC-BY-4.0",
    architecture={"kind": "mlp", "sizes": [64, 32, 10], "dropout": 0.1},
)

manifests = st.dictionaries(
    st.from_regex(r"[a-z._]{1,8}", fullmatch=True),
    st.tuples(st.lists(st.integers(1, 50), max_size=4), st.sampled_from(["F32", "F16", "BF16"]), st.integers(0, 30)),
    min_size=1,
    max_size=5,
).map(lambda specs: tuple(TensorSpec(name, tuple(s), d, b) for name, (s, d, b) in sorted(specs.items())))
printable = st.text(st.characters(categories=["L", "N", "P"]), min_size=1, max_size=20)
architectures = st.dictionaries(printable, st.integers() | st.lists(st.integers()) | printable, max_size=4)
tasks = st.builds(
    Task,
    name=printable,
    manifest=manifests,
    base_cid=st.just(BASE),
    description=printable,
    licence=printable,
    architecture=architectures,
)


def edited(change):
    """The digits' file after a change to its fields, still canonical."""
    fields = json.loads(task_bytes(DIGITS))
    change(fields)
    return json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


@settings(max_examples=60, deadline=None)
@given(tasks)
def test_a_task_is_read_back(task):
    assert parse_task(task_bytes(task)) == task


def test_the_file_of_a_task_is_fixed():
    assert task_bytes(DIGITS).decode() == (
        '{"architecture":{"dropout":0.1,"kind":"mlp","sizes":[64,32,10]},'
        f'"base":"{BASE}",'
        '"description":"Handwritten digits, 8 × 8.\\nTen classes.","licence":"CC-BY-4.0",'
        '"manifest":[{"bits":24,"dtype":"F32","name":"bias","shape":[10]},'
        '{"bits":20,"dtype":"BF16","name":"weight","shape":[10,64]}],'
        '"name":"digits","sketch":{"buckets":1024,"kind":"count"},"version":1}'
    )
    assert DIGITS.digest == hashlib.sha256(task_bytes(DIGITS)).digest()


def test_the_base_is_named_by_its_digest():
    assert DIGITS.base == hashlib.sha256(b"hello world").digest()


@pytest.mark.parametrize("length", [0, 60_000, 65_536])
def test_the_digest_is_the_one_that_a_store_gives(tmp_path, length):
    task = Task("long", MANIFEST, BASE, description="é" * length, licence="漢" * length)
    (tmp_path / "task.json").write_bytes(task_bytes(task))
    store = BlockStore(tmp_path / "blocks")
    assert store.put(tmp_path / "task.json") == task.digest
    store.get(task.digest, tmp_path / "back", TASK_LIMIT)
    assert parse_task((tmp_path / "back").read_bytes()) == task
    assert task.cid.startswith("bafybei" if len(task_bytes(task)) > 262_144 else "bafkrei")


def test_an_architecture_is_kept_as_it_will_be_read():
    task = Task("tuples", MANIFEST, BASE, architecture={"sizes": (64, 10)})
    assert task.architecture == {"sizes": [64, 10]}
    assert parse_task(task_bytes(task)) == task


def test_another_task_has_another_digest():
    other = parse_task(edited(lambda fields: fields["manifest"][0].update(bits=23)))
    assert other.digest != DIGITS.digest


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.update(extra=1), "unknown key: 'extra'"),
        (lambda f: f.pop("licence"), "lacks 'licence'"),
        (lambda f: f.update(version=2), "version 2"),
        (lambda f: f.update(version=True), "version True"),
        (lambda f: f.update(sketch={"kind": "count", "buckets": 256}), "sketch rule"),
        (lambda f: f.update(sketch={"kind": "count", "buckets": 1024.0}), "another type"),
        (lambda f: f.update(sketch="count"), "sketch rule"),
        (lambda f: f.update(name=""), "name"),
        (lambda f: f.update(name="a\nb"), "name"),
        (lambda f: f.update(name="\u202etxt"), "name"),
        (lambda f: f.update(name="x" * 101), "name"),
        (lambda f: f.update(name=7), "'name' is text"),
        (lambda f: f.update(description="\x1b[2J"), "description"),
        (lambda f: f.update(licence=None), "'licence' is text"),
        (lambda f: f.update(base="bafk"), "CID"),
        (lambda f: f.update(base=BASE.upper()), "CID"),
        (lambda f: f.update(base=None), "'base' is text"),
        (lambda f: f.update(architecture=[]), "architecture"),
        (lambda f: f.update(manifest=[]), "1 to"),
        (lambda f: f.update(manifest={}), "list of tensors"),
        (lambda f: f.update(manifest=["weight"]), "JSON object"),
        (lambda f: f["manifest"].reverse(), "in order of name"),
        (lambda f: f["manifest"].append(f["manifest"][1]), "in order of name"),
        (lambda f: f["manifest"][0].update(dtype="F64"), "F64"),
        (lambda f: f["manifest"][0].update(dtype=None), "'dtype' is text"),
        (lambda f: f["manifest"][0].update(name="__metadata__"), "__metadata__"),
        (lambda f: f["manifest"][0].update(extra=1), "unknown key"),
        (lambda f: f["manifest"][0].pop("bits"), "lacks 'bits'"),
        (lambda f: f["manifest"][0].update(bits=True), "whole numbers"),
        (lambda f: f["manifest"][0].update(bits=31), "31 bits"),
        (lambda f: f["manifest"][0].update(shape=[10.0]), "whole numbers"),
        (lambda f: f["manifest"][0].update(shape=[True]), "whole numbers"),
        (lambda f: f["manifest"][0].update(shape=[0]), "shape"),
        (lambda f: f["manifest"][0].update(shape=[-1, -1]), "shape"),
        (lambda f: f["manifest"][0].update(shape=[1 << 70]), "shape"),
        (lambda f: f["manifest"][0].update(shape=10), "whole numbers"),
    ],
)
def test_a_file_that_is_no_task_is_refused_in_one_line(change, message):
    with pytest.raises(BadInput, match=message) as refusal:
        parse_task(edited(change))
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "text",
    [b"", b"[]", b"null", b"{", b"\xff", task_bytes(DIGITS) + b"\n", b" " + task_bytes(DIGITS), b"[" * 100_000],
)
def test_what_is_not_canonical_json_is_refused(text):
    with pytest.raises(BadInput):
        parse_task(text)


def test_a_long_file_is_refused_before_it_is_parsed(monkeypatch):
    monkeypatch.setattr("market_node.task.read_canonical", lambda text: pytest.fail("it was parsed"))
    with pytest.raises(BadInput, match="1048576 bytes"):
        parse_task(bytes(TASK_LIMIT + 1))


def test_a_task_that_would_not_fit_its_file_cannot_be_made():
    with pytest.raises(BadInput, match="1048576 bytes"):
        Task("big", MANIFEST, BASE, architecture={"note": "x" * TASK_LIMIT})


@pytest.mark.parametrize("architecture", [{"a": float("nan")}, {"a": b"code"}, {"a": print}, {1: "a", "b": 2}, None])
def test_an_architecture_is_json(architecture):
    with pytest.raises(BadInput, match="architecture"):
        Task("bad", MANIFEST, BASE, architecture=architecture)
