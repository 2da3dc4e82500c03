"""Runs every attack and prints the table of README.md: python -m tests.attacks [--write] [name ...]"""

import importlib
import sys
from pathlib import Path
from types import ModuleType

HERE = Path(__file__).parent
README = HERE / "README.md"
HEAD = ["| attack | file | outcome | cost to whoever tries |", "|---|---|---|---|"]


def names() -> list[str]:
    return sorted(path.stem for path in HERE.glob("test_*.py") if path.stem != "test_readme_of_attacks")


def line(module: ModuleType) -> str:
    """An attack's line in the table: its title is the first line of what its file says."""
    title = (module.__doc__ or "").strip().splitlines()[0].rstrip(".")
    story = module.attack()
    file = f"{module.__name__.rpartition('.')[2]}.py"
    return f"| {title} | [{file.removeprefix('test_').removesuffix('.py')}]({file}) | {story.outcome} | {story.cost} |"


def main(arguments: list[str]) -> None:
    asked = [each for each in arguments if not each.startswith("-")]
    chosen = [name for name in names() if not asked or name.removeprefix("test_") in asked]
    lines = list(HEAD)
    print("\n".join(HEAD))
    for name in chosen:
        lines.append(line(importlib.import_module(f"tests.attacks.{name}")))
        print(lines[-1], flush=True)
    if "--write" in arguments:
        before, _, _ = README.read_text(encoding="utf-8").partition(HEAD[0])
        README.write_text(before + "\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
