"""Pictures from their files, and who gets which."""

import gzip
import struct
import sys

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from market_node.data import CLASSES, PER_CLASS, Examples, deal, load
from market_node.errors import BadInput

FASHION = {"train-images-idx3-ubyte.gz": (3, [2, 28, 28]), "train-labels-idx1-ubyte.gz": (1, [2])}


# --- dealing ---


def numbered(labels):
    """Examples whose inputs are their own numbers, so that a test sees where each went."""
    return Examples(torch.arange(len(labels)).reshape(-1, 1, 1, 1), torch.tensor(labels))


def numbers(examples):
    return examples.inputs.flatten().tolist()


many = numbered([label for label in range(CLASSES) for _ in range(60)])

# Two to five owners, what each gets of each class; every class goes to somebody.
shares_of_owners = st.integers(2, 5).flatmap(
    lambda owners: st.lists(
        st.lists(st.integers(0, 6), min_size=CLASSES, max_size=CLASSES), min_size=owners, max_size=owners
    )
)


def dealt(shares, seed=0, training=20, holdout=10):
    assume(all(any(column) for column in zip(*shares, strict=True)))
    try:
        return deal(many, shares, seed, training, holdout)
    except BadInput:
        assume(False)


@settings(max_examples=100, deadline=None)
@given(shares_of_owners)
def test_no_picture_stands_in_two_places(shares):
    owners = dealt(shares)
    placed = numbers(owners[0].test)
    for owner in owners:
        placed += numbers(owner.training) + numbers(owner.holdout)
    assert sorted(placed) == list(range(len(many)))


@settings(max_examples=100, deadline=None)
@given(shares_of_owners)
def test_every_owner_gets_its_share_of_each_class_to_one_picture(shares):
    columns = [sum(column) for column in zip(*shares, strict=True)]
    for row, owner in zip(shares, dealt(shares), strict=True):
        due = [60 * part / column for part, column in zip(row, columns, strict=True)]
        # How many it holds is not listed: some number makes whole pictures of its mix, each within one of its due.
        sizes = range(int(sum(due)) - CLASSES, int(sum(due)) + CLASSES + 1)
        held = [(owner.label_mix.double() * size).tolist() for size in sizes]
        assert any(
            all(abs(h - round(h)) < 1e-3 and abs(round(h) - d) < 1 for h, d in zip(counts, due, strict=True))
            for counts in held
        )


@settings(max_examples=50, deadline=None)
@given(shares_of_owners)
def test_an_owner_never_sees_a_class_it_has_no_share_of(shares):
    for row, owner in zip(shares, dealt(shares), strict=True):
        seen = set(owner.training.labels.tolist()) | set(owner.holdout.labels.tolist())
        assert seen <= {label for label in range(CLASSES) if row[label]}


def test_each_picture_keeps_its_own_label():
    for owner in deal(many, [[1] * CLASSES] * 3, 0, 20, 10):
        for part in (owner.training, owner.holdout, owner.test):
            assert [many.labels[number].item() for number in numbers(part)] == part.labels.tolist()


def test_an_owner_has_as_many_pictures_as_asked_for():
    for owner in deal(many, [[1] * CLASSES] * 3, 0, 111, 22):
        assert (len(owner.training), len(owner.holdout)) == (111, 22)


def test_the_same_seed_deals_alike_and_another_does_not():
    def hands(seed):
        return [numbers(owner.training) for owner in deal(many, [[1] * CLASSES] * 3, seed, 20, 10)]

    assert hands(1) == hands(1)
    assert hands(1) != hands(2)


def test_no_more_than_180_pictures_of_a_class_are_dealt():
    plenty = numbered([0] * 1000 + [1] * 1000)
    owner, _ = deal(plenty, [[1] * CLASSES] * 2, 0, 100, 10)
    assert len(owner.test) == 2 * PER_CLASS - 2 * 110


def test_an_owner_with_too_few_pictures_is_named():
    with pytest.raises(BadInput, match="owner 1 got 60 pictures; 60 and one"):
        deal(many, [[1] * 9 + [0], [0] * 9 + [1]], 0, 50, 10)


# --- digits ---


def test_digits_are_1797_pictures_with_values_from_0_to_1():
    digits = load("digits")
    assert digits.inputs.shape == (1797, 1, 8, 8)
    assert (digits.inputs.min().item(), digits.inputs.max().item()) == (0, 1)
    assert digits.labels.unique().tolist() == list(range(CLASSES))


def test_without_scikit_learn_digits_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(BadInput, match=r"pip install 'market-node\[demo\]'"):
        load("digits")


def test_an_unknown_data_set_is_named():
    with pytest.raises(BadInput, match="'cifar'; there are digits and fashion-mnist"):
        load("cifar")


# --- Fashion-MNIST: small files of its form ---


def idx(dimensions, shape, values):
    return struct.pack(f">HBB{dimensions}I", 0, 8, dimensions, *shape) + bytes(values)


@pytest.fixture
def share(tmp_path, monkeypatch):
    """A share folder with two pictures: the first black, the second white."""
    folder = tmp_path / "datasets" / "fashion-mnist"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_DATA_DIRS", f"/nowhere:{tmp_path}")
    pixels = [0] * 784 + [255] * 784
    for (name, (dimensions, shape)), values in zip(FASHION.items(), (pixels, [3, 9]), strict=True):
        (folder / name).write_bytes(gzip.compress(idx(dimensions, shape, values)))
    return folder


def test_fashion_mnist_is_read_as_its_files_say(share):
    pictures = load("fashion-mnist")
    assert pictures.inputs.shape == (2, 1, 28, 28)
    assert pictures.inputs.mean(dim=(1, 2, 3)).tolist() == [0, 1]
    assert pictures.labels.tolist() == [3, 9]


def test_without_the_package_fashion_mnist_says_which_one(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_DIRS", str(tmp_path))
    with pytest.raises(BadInput, match="apt install dataset-fashion-mnist"):
        load("fashion-mnist")


def test_pictures_and_labels_of_different_number_are_refused(share):
    (share / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(1, [3], [1, 2, 3])))
    with pytest.raises(BadInput, match="do not belong together"):
        load("fashion-mnist")


def test_a_label_past_the_classes_is_refused(share):
    (share / "train-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(1, [2], [1, 10])))
    with pytest.raises(BadInput, match="do not belong together"):
        load("fashion-mnist")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not gzip",
        gzip.compress(b"")[:-1],
        gzip.compress(bytes(100))[:-9] + b"garbage!!",
        gzip.compress(b"\0\0"),
        gzip.compress(idx(1, [2], [])),
        gzip.compress(idx(1, [2], [1, 2, 3])),
        gzip.compress(idx(1, [2], [1, 2]).replace(b"\x08", b"\x0d", 1)),
        gzip.compress(idx(2, [1, 2], [1, 2])),
    ],
    ids=["empty", "text", "cut", "corrupt", "short", "headless", "long", "floats", "matrix"],
)
def test_a_damaged_file_is_named_in_one_line(share, content):
    (share / "train-labels-idx1-ubyte.gz").write_bytes(content)
    with pytest.raises(BadInput, match=r"train-labels-idx1-ubyte.gz .*reinstall dataset-fashion-mnist") as caught:
        load("fashion-mnist")
    assert "\n" not in str(caught.value)
