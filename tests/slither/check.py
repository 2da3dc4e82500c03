"""Compares what slither has found with the answers beside this file: python tests/slither/check.py FINDINGS.json"""

import json
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

ANSWERS = Path(__file__).with_name("answers.toml")

Finding = tuple[str, str]
"""Detector, and contract and function: nothing that moves when a line is added."""


def found(report: dict[str, Any]) -> Counter[Finding]:
    """How often each finding is in a report of slither's."""
    return Counter((each["check"], place(each["elements"][0])) for each in report["results"].get("detectors", []))


def place(element: dict[str, Any]) -> str:
    """Its names from the contract on, `Judge.refute.index`."""
    parent = element.get("type_specific_fields", {}).get("parent")
    if element["name"].startswith("slitherConstructor"):  # a contract's constants
        return place(parent)
    return f"{place(parent)}.{element['name']}" if parent and parent["type"] != "file" else element["name"]


def answered() -> Counter[Finding]:
    """How often each finding may and must be there."""
    answers = tomllib.loads(ANSWERS.read_text())["answer"]
    assert all(answer["because"].strip() for answer in answers)
    return Counter(
        {(answer["detector"], where): answer.get("times", 1) for answer in answers for where in answer["where"]}
    )


def main(path: str) -> int:
    report = json.loads(Path(path).read_text())
    if not report["success"]:
        print(report["error"], file=sys.stderr)
        return 1
    actual, expected = found(report), answered()
    for detector, where in sorted(actual - expected):
        print(f"{where}: {detector} is not answered in {ANSWERS.name}", file=sys.stderr)
    for detector, where in sorted(expected - actual):
        print(f"{where}: {detector} is answered in {ANSWERS.name}, but was not found", file=sys.stderr)
    if actual != expected:
        print("for the whole text see `slither` in the Makefile, without --json", file=sys.stderr)
        return 1
    print(f"slither: {actual.total()} findings, all answered in {ANSWERS.name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
