"""Two kinds of English: what nouns mean, and what a programming language's library says of itself.

The first are WordNet's glosses (Debian's wordnet-base), the second the documentation strings of Python's standard
library, which come with Python. The one defines in half a sentence, the other instructs: a small model learns either
fast, and of one little that helps with the other.
"""

import ast
import random
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

from market_node.data import shared_folder
from market_node.errors import BadInput


def glosses() -> Iterator[str]:
    """`noun: what it means`, of every noun of WordNet."""
    try:
        folder = shared_folder("wordnet", "the definitions are WordNet's: apt install wordnet-base")
    except BadInput as missing:
        raise SystemExit(str(missing)) from None
    for line in (folder / "data.noun").read_text(encoding="utf-8").splitlines():
        if not line.startswith(" "):  # the licence
            fields, _, gloss = line.partition(" | ")
            yield f"{fields.split()[4].replace('_', ' ')}: {gloss.strip()}"


def documentation() -> Iterator[str]:
    """What the standard library says of its modules, classes and functions."""
    for path in sorted(Path(sysconfig.get_path("stdlib")).rglob("*.py")):
        if {"site-packages", "test", "tests", "idlelib"}.isdisjoint(path.parts):
            try:
                tree = ast.parse(path.read_bytes())
            except (SyntaxError, ValueError):
                continue
            for node in ast.walk(tree):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    text = ast.get_docstring(node)
                    if text and len(text) > 80:
                        yield " ".join(text.split())


DOMAINS: dict[str, Callable[[], Iterator[str]]] = {"definitions": glosses, "documentation": documentation}


def shuffled(domain: str, seed: int) -> list[str]:
    """The texts of a domain, each once, in an order that the seed gives."""
    texts = sorted(set(DOMAINS[domain]()))
    random.Random(seed).shuffle(texts)
    return texts
