"""The table in README.md has one line for each attack that is here."""

import re

from tests.attacks.__main__ import README, names


def test_every_attack_has_its_line():
    linked = re.findall(r"^\| .* \| \[\w+\]\((\w+)\.py\) \|", README.read_text(encoding="utf-8"), re.MULTILINE)
    assert linked == names()


def test_no_line_is_empty():
    lines = [line for line in README.read_text(encoding="utf-8").splitlines() if "](test_" in line]
    assert all(cell.strip() for line in lines for cell in line.strip("|").split("|"))
    assert all(line.count("|") == 5 for line in lines)
