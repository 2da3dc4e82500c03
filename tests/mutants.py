"""Breaks the code on purpose, one line at a time, and checks that the tests notice.

    python tests/mutants.py            # all of them
    python tests/mutants.py price      # those whose name begins so

Each mutant is made in a copy of the tree; nothing here is changed. Exits 1 if a mutant survives.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

TREE = Path(__file__).parent.parent
SKIPPED = shutil.ignore_patterns(".venv", "node_modules", ".git", "__pycache__", ".*_cache", "*.egg-info")
PYTEST = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
SOLIDITY = ["npx", "hardhat", "test", "solidity", "tests/contracts/Reveal.t.sol"]


@dataclass(frozen=True)
class Mutant:
    """One deliberate mistake."""

    name: str
    path: str
    right: str
    wrong: str
    noticed_by: list[str]
    """The part of `make test` that must fail."""


MUTANTS = [
    Mutant(
        "price one unit too high",
        "market_node/mechanism.py",
        "return cost - (rest == 0 and other.seller < seller.seller)",
        "return cost",
        [*PYTEST, "tests/unit/test_mechanism.py"],
    ),
    Mutant(
        "price forgets who was left out",
        "market_node/mechanism.py",
        "if left_out is not None:",
        "if False:",
        [*PYTEST, "tests/unit/test_mechanism.py"],
    ),
    Mutant(
        "similarity ignores the floor",
        "market_node/sketch.py",
        "np.maximum(cosines - floor, 0)",
        "cosines",
        [*PYTEST, "tests/unit/test_sketch.py"],
    ),
    Mutant(
        "seal opens whatever its key commitment",
        "market_node/seal.py",
        "if not hmac.compare_digest(commitment, expected):",
        "if False:",
        [*PYTEST, "tests/unit/test_seal.py"],
    ),
    Mutant(
        "seal accepts another account's file",
        "market_node/seal.py",
        "if named != envelope:",
        "if False:",
        [*PYTEST, "tests/unit/test_seal.py"],
    ),
    Mutant(
        "CID is not checked",
        "market_node/blocks.py",
        "if sha256(block).digest() != digest:",
        "if False:",
        [*PYTEST, "tests/unit/test_store.py"],
    ),
    Mutant(
        "contract accepts a bid that does not match its seal",
        "contracts/Market.sol",
        "revert WrongSeal(round, index);",
        "{}",
        SOLIDITY,
    ),
    Mutant(
        "contract takes a list out of order",
        "contracts/libraries/Judge.sol",
        "revert IMarket.ListOutOfOrder(offer.seller);",
        "{}",
        ["npx", "hardhat", "test", "solidity", "tests/contracts/Challenge.t.sol"],
    ),
    Mutant(
        "contract lets anybody be refuted by whom the list left out rightly",
        "contracts/libraries/Judge.sol",
        "if (full && !_before(offer, claim.lastMerit, index)) revert IMarket.NotLeftOut(seller.index);",
        "",
        ["npx", "hardhat", "test", "solidity", "tests/contracts/Refute.t.sol"],
    ),
    Mutant(
        "auditor overlooks the order of a row",
        "market_node/judge.py",
        "if posted != true[buyer])",
        "if set(posted) != set(true[buyer]))",
        [*PYTEST, "tests/unit/test_judge.py"],
    ),
    Mutant(
        "payout pays sellers of a buyer that rejected",
        "market_node/settlement.py",
        "if rejects(participant, rows[buyer]):",
        "if False:",
        [*PYTEST, "tests/unit/test_settlement.py"],
    ),
]


def passes(command: list[str], mutant: Mutant | None = None) -> bool:
    """Whether a part of the tests passes in a copy of the tree, with a mistake or without."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "tree"
        shutil.copytree(TREE, copy, ignore=SKIPPED)
        if (TREE / "node_modules").exists():
            (copy / "node_modules").symlink_to(TREE / "node_modules")
        if mutant is not None:
            path = copy / mutant.path
            text = path.read_text(encoding="utf-8")
            if text.count(mutant.right) != 1:
                raise SystemExit(f"{mutant.name}: {mutant.path} must hold {mutant.right!r} once; has the rule moved?")
            path.write_text(text.replace(mutant.right, mutant.wrong), encoding="utf-8")
        environment = {**os.environ, "PYTHONPATH": str(copy)}
        run = subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False)
        return run.returncode == 0


def main() -> int:
    wanted = [mutant for mutant in MUTANTS if mutant.name.startswith(" ".join(sys.argv[1:]))]
    for command in {tuple(mutant.noticed_by) for mutant in wanted}:
        if not passes(list(command)):
            raise SystemExit(f"without any mistake, this fails already: {' '.join(command)}")
    survivors = 0
    for mutant in wanted:
        survived = passes(mutant.noticed_by, mutant)
        survivors += survived
        print(f"{'SURVIVED' if survived else 'noticed '}  {mutant.name}", flush=True)
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
