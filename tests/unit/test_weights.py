"""Model files: what a manifest lets in, and the one order of the weights."""

import json
import pickle
import random
import struct
import zipfile
from hashlib import sha256

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from market_node.errors import BadInput, MalformedUpdate, OutOfRange
from market_node.weights import (
    TensorSpec,
    block_root,
    check_manifest,
    count,
    file_limit,
    flatten,
    manifest_of,
    read_weights,
    unflatten,
    write_weights,
)

TENSORS = {
    "layer.weight": torch.arange(12.0).reshape(3, 4) / 8,
    "layer.bias": torch.tensor([1.5, -2.5], dtype=torch.bfloat16),
    "head": torch.tensor([[0.25], [-0.125]], dtype=torch.float16),
    "temperature": torch.tensor(3.0),
}
MANIFEST = (
    TensorSpec("head", (2, 1), "F16"),
    TensorSpec("layer.bias", (2,), "BF16"),
    TensorSpec("layer.weight", (3, 4), "F32"),
    TensorSpec("temperature", (), "F32"),
)


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "model.safetensors"
    write_weights(path, TENSORS)
    return path


def forge(path, header, weights):
    """A file with any header: a dict, or raw bytes."""
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    header += b" " * (-len(header) % 8)
    path.write_bytes(struct.pack("<Q", len(header)) + header + weights)
    return path


def entry(dtype, shape, start, end):
    return {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}


def slow_root(leaves):
    """RFC 6962, 2.1, to the letter."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return sha256(b"\1" + slow_root(leaves[:k]) + slow_root(leaves[k:])).digest()


def slow_block_root(weights):
    blocks = [weights[i : i + 1024] for i in range(0, len(weights), 1024)]
    return slow_root([b"".join(struct.pack("<i", w) for w in block) for block in blocks])


def test_a_model_file_gives_its_tensors_back(model):
    read = read_weights(model, MANIFEST)
    assert list(read) == [spec.name for spec in MANIFEST]
    for name, tensor in TENSORS.items():
        assert read[name].dtype == tensor.dtype
        assert torch.equal(read[name], tensor)


def test_the_manifest_of_tensors_is_the_one_they_match():
    assert manifest_of(TENSORS) == MANIFEST
    assert {spec.bits for spec in manifest_of(TENSORS, bits=20)} == {20}


def test_equal_tensors_make_equal_files(tmp_path, model):
    again = tmp_path / "again.safetensors"
    write_weights(again, dict(reversed(TENSORS.items())))
    assert again.read_bytes() == model.read_bytes()


def test_a_file_is_within_the_limit_that_its_manifest_sets(model):
    assert model.stat().st_size <= file_limit(MANIFEST) < model.stat().st_size + (1 << 17)


def test_views_and_tied_weights_are_written_out(tmp_path):
    matrix = torch.arange(6.0).reshape(2, 3)
    write_weights(tmp_path / "tied", {"a": matrix, "b": matrix, "c": matrix.t()})
    read = read_weights(tmp_path / "tied", manifest_of({"a": matrix, "b": matrix, "c": matrix.t()}))
    assert torch.equal(read["b"], matrix)
    assert torch.equal(read["c"], matrix.t())


def test_a_failed_write_leaves_the_old_file(tmp_path, model, monkeypatch):
    def disk_full(tensors, path):
        with open(path, "wb") as file:
            file.write(b"half of it")
        raise OSError("no space left on device")

    before = model.read_bytes()
    monkeypatch.setattr("market_node.weights.save_file", disk_full)
    with pytest.raises(OSError, match="no space left"):
        write_weights(model, {"a": torch.zeros(3)})
    assert model.read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == [model.name]


def test_tensors_outlive_the_file(model):
    read = read_weights(model, MANIFEST)
    model.unlink()
    assert torch.equal(read["layer.weight"], TENSORS["layer.weight"])


def test_the_order_is_that_of_the_names():
    fixed = flatten(TENSORS, MANIFEST)
    weights = [0.25, -0.125, 1.5, -2.5, *(i / 8 for i in range(12)), 3.0]
    assert fixed.dtype == torch.int32
    assert fixed.tolist() == [int(w * 2**24) for w in weights]
    assert count(MANIFEST) == len(weights)


def test_each_tensor_has_its_own_quantum():
    manifest = (TensorSpec("a", (1,), "F32", 8), TensorSpec("b", (1,), "F32", 30))
    tensors = {"a": torch.tensor([1000.5]), "b": torch.tensor([1.0])}
    assert flatten(tensors, manifest).tolist() == [1000 * 256 + 128, 2**30]
    assert unflatten(flatten(tensors, manifest), manifest) == tensors


def test_a_transposed_tensor_is_flattened_in_c_order():
    manifest = (TensorSpec("a", (3, 2), "F32", 0),)
    assert flatten({"a": torch.arange(6.0).reshape(2, 3).t()}, manifest).tolist() == [0, 3, 1, 4, 2, 5]


def test_unflatten_undoes_flatten():
    back = unflatten(flatten(TENSORS, MANIFEST).to(torch.int64), MANIFEST)
    assert list(back) == [spec.name for spec in MANIFEST]
    for name, tensor in TENSORS.items():
        assert back[name].dtype == tensor.dtype
        assert torch.equal(back[name], tensor)


def test_unflatten_wants_exactly_the_manifests_weights():
    with pytest.raises(BadInput, match="17 weights"):
        unflatten(torch.zeros(16, dtype=torch.int32), MANIFEST)


# --- what is refused ---


def test_a_pickle_is_refused_and_not_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    (tmp_path / "bomb").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(MalformedUpdate, match="not a safetensors file"):
        read_weights(tmp_path / "bomb", MANIFEST)
    assert not (tmp_path / "exploded").exists()


def test_a_torch_zip_is_refused(tmp_path):
    torch.save(TENSORS, tmp_path / "model.pt")
    assert zipfile.is_zipfile(tmp_path / "model.pt")
    with pytest.raises(MalformedUpdate, match="not a safetensors file"):
        read_weights(tmp_path / "model.pt", MANIFEST)


@pytest.mark.parametrize("header", [1 << 17, 1 << 40, (1 << 64) - 1])
def test_an_oversize_header_is_refused_before_it_is_read(tmp_path, header, monkeypatch):
    (tmp_path / "big").write_bytes(struct.pack("<Q", header) + bytes(1000))
    monkeypatch.setattr("market_node.weights.safe_open", lambda *_: pytest.fail("the file was parsed"))
    with pytest.raises(MalformedUpdate, match="no header of a fitting length"):
        read_weights(tmp_path / "big", MANIFEST)


@pytest.mark.parametrize("change", [lambda b: b + b"\0", lambda b: b[:-1], lambda b: b + bytes(1 << 20)])
def test_another_size_is_refused_before_anything_is_parsed(model, change, monkeypatch):
    model.write_bytes(change(model.read_bytes()))
    monkeypatch.setattr("market_node.weights.safe_open", lambda *_: pytest.fail("the file was parsed"))
    with pytest.raises(MalformedUpdate, match=r"bytes of weights where the manifest has"):
        read_weights(model, MANIFEST)


@pytest.mark.parametrize("contents", [b"", b"\0" * 7, b"\0" * 8, b"{}"])
def test_a_stub_is_refused(tmp_path, contents):
    (tmp_path / "stub").write_bytes(contents)
    with pytest.raises(MalformedUpdate):
        read_weights(tmp_path / "stub", MANIFEST)


ONE_TENSOR = (TensorSpec("a", (2,), "F32"),)


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ({"b": entry("F32", [2], 0, 8)}, "'a' is missing"),
        ({"a": entry("F32", [1], 0, 4), "b": entry("F32", [1], 4, 8)}, "'b' is not in the manifest"),
        ({"a": entry("F32", [2, 1], 0, 8)}, r"'a' is F32 \[2, 1\]; the manifest has F32 \[2\]"),
        ({"a": entry("F16", [4], 0, 8)}, "'a' is F16"),
        ({"a": entry("I32", [2], 0, 8)}, "'a' is I32"),
        ({"a": entry("F64", [1], 0, 8)}, "'a' is F64"),
        ({"a": entry("F32", [2**40, 2**30], 0, 8)}, "not a safetensors file"),
        ({"a": entry("F32", [2], 0, 4)}, "not a safetensors file"),
        ({"a": entry("F32", [2], 0, 8), "b": entry("F32", [2], 0, 8)}, "not a safetensors file"),
        ({}, "not a safetensors file"),
        (b"[" * 60_000, "not a safetensors file"),
        (b"\xff\xfe{}", "not a safetensors file"),
        (b"", "not a safetensors file"),
    ],
)
def test_a_header_that_the_manifest_does_not_match_is_refused(tmp_path, header, message):
    with pytest.raises(MalformedUpdate, match=message) as refusal:
        read_weights(forge(tmp_path / "forged", header, bytes(8)), ONE_TENSOR)
    assert "\n" not in str(refusal.value)


def test_metadata_does_no_harm(tmp_path):
    header = {"__metadata__": {"format": "pt"}, "a": entry("F32", [2], 0, 8)}
    assert read_weights(forge(tmp_path / "forged", header, bytes(8)), ONE_TENSOR)["a"].tolist() == [0, 0]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("weight", [float("nan"), float("inf"), float("-inf")])
def test_a_weight_that_is_not_finite_is_refused_by_name(tmp_path, dtype, weight):
    tensors = {"a": torch.zeros(3, dtype=dtype), "b": torch.tensor([0, weight], dtype=dtype)}
    write_weights(tmp_path / "bad", tensors)
    with pytest.raises(MalformedUpdate, match="'b' holds a weight that is NaN or infinite"):
        read_weights(tmp_path / "bad", manifest_of(tensors))


def test_random_damage_to_a_header_never_gives_other_than_the_manifests_tensors(model):
    original = model.read_bytes()
    header_end = 8 + int.from_bytes(original[:8], "little")
    chance = random.Random(1)
    for _ in range(300):
        damaged = bytearray(original)
        for _ in range(chance.randint(1, 3)):
            damaged[chance.randrange(header_end)] = chance.randrange(256)
        model.write_bytes(damaged)
        try:
            read = read_weights(model, MANIFEST)
        except MalformedUpdate:
            continue
        assert manifest_of(read) == MANIFEST


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("head"), "'head' is missing"),
        (lambda t: t.update(extra=torch.zeros(1)), "'extra' is not in the manifest"),
        (lambda t: t.update(head=torch.zeros(2, 1)), "'head' is F32"),
        (lambda t: t.update(head=torch.zeros(1, 2, dtype=torch.float16)), r"'head' is F16 \[1, 2\]"),
        (lambda t: t.update(temperature=torch.tensor(float("nan"))), "'temperature' .* NaN"),
    ],
)
def test_tensors_that_the_manifest_does_not_match_are_not_flattened(change, message):
    tensors = dict(TENSORS)
    change(tensors)
    with pytest.raises(MalformedUpdate, match=message):
        flatten(tensors, MANIFEST)


def test_a_weight_past_its_quantum_is_out_of_range():
    with pytest.raises(OutOfRange, match="'temperature' holds 200"):
        flatten({**TENSORS, "temperature": torch.tensor(200.0)}, MANIFEST)


@pytest.mark.parametrize(
    "specs",
    [
        [],
        [("b", (1,), "F32", 24), ("a", (1,), "F32", 24)],
        [("a", (1,), "F32", 24), ("a", (1,), "F32", 24)],
        [("", (1,), "F32", 24)],
        [("__metadata__", (1,), "F32", 24)],
        [("a\n", (1,), "F32", 24)],
        [("a" * 201, (1,), "F32", 24)],
        [("a", (0,), "F32", 24)],
        [("a", (-1,), "F32", 24)],
        [("a", (1,) * 9, "F32", 24)],
        [("a", (2**20, 2**20), "F32", 24)],
        [("a", (1,), "F64", 24)],
        [("a", (1,), "F32", 31)],
        [("a", (1,), "F32", -1)],
    ],
)
def test_a_manifest_that_cannot_be_is_refused(specs):
    with pytest.raises(BadInput):
        check_manifest([TensorSpec(*spec) for spec in specs])


# --- Merkle root ---


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 9000), st.integers(0, 2**32))
def test_a_block_root_is_the_tree_of_rfc_6962(length, seed):
    generator = torch.Generator().manual_seed(seed)
    weights = torch.randint(-(2**31), 2**31, (length,), generator=generator).to(torch.int32)
    assert block_root(weights) == slow_block_root(weights.tolist())


@pytest.mark.parametrize("length", [0, 1, 1023, 1024, 1025, 2048, 3072, 4097, 7168, 8192])
def test_block_roots_at_the_edges(length):
    assert block_root(torch.arange(length, dtype=torch.int32)) == slow_block_root(list(range(length)))


def test_a_block_root_of_one_weight_by_hand():
    assert block_root(torch.tensor([-2], dtype=torch.int32)) == sha256(b"\0\xfe\xff\xff\xff").digest()


def test_every_weight_moves_the_root():
    weights = torch.arange(2049, dtype=torch.int32)
    roots = {block_root(weights)}
    for at in (0, 1023, 1024, 2048):
        changed = weights.clone()
        changed[at] += 1
        roots.add(block_root(changed))
    assert len(roots) == 5


def test_a_root_is_taken_of_int32_only():
    with pytest.raises(BadInput, match="int64"):
        block_root(torch.zeros(3, dtype=torch.int64))
