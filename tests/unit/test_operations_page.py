"""The page about operations names commands, options and files that exist."""

import re
from pathlib import Path

from typer.main import get_command

from market_node.cli.root import app

ROOT = Path(__file__).parent.parent.parent
PAGE = (ROOT / "docs" / "operations.md").read_text()


def test_every_command_and_option_on_it_exists():
    found = re.findall(r"^\$ market-node --home \w+ (.+)$", PAGE, re.M)
    assert len(found) >= 4
    for line in found:
        command, words = get_command(app), line.split()
        while hasattr(command, "commands"):
            command = command.commands[words.pop(0)]
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known, line


def test_every_file_that_it_links_to_exists():
    for target in re.findall(r"\]\(([^)#]+)", PAGE):
        assert (ROOT / "docs" / target).exists(), target
