"""docs/running.md tried as a newcomer would: its market on one machine, left alone; then a participant is away."""

import json
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.document import table, write
from tests.ipfs.peers import Peer
from tests.session import Shell, commands

DOCUMENT, SECTION = "docs/running.md", "A whole market on one machine"
PEOPLE = ("aggregator", "auditor", "alice", "bob", "carol")
ALONE = 3
"""Rounds without a hand on them."""

LONGEST = 600
"""Seconds that a round may take."""


def guide() -> None:
    """Follows the document, waits for the rounds, stops bob for one and starts him again."""
    *start, stop, again = commands(DOCUMENT, SECTION)
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="market-node-guide-") as name:
        folder = Path(name)
        peers = [Peer(folder / each).ready() for each in ("first", "second")]
        peers[1].connect(peers[0])
        shell = Shell(folder)
        shell.copied |= {f"NODE{number}": peer.url for number, peer in enumerate(peers, 1)}
        try:
            for command in start:
                shell.read(command)
            played = [_paid_out(shell, number) for number in range(1, ALONE + 1)]
            shell.read(stop)
            played.append(_paid_out(shell, max(_numbers(shell)) + 1))  # bob may have committed to the one that is open
            shell.read(again)
            played.append(_paid_out(shell, max(_numbers(shell)) + 1))
            audit = _json(shell, "alice", "audit")
            logs = {each: (folder / f"{each}.log").read_text() for each in PEOPLE}
        finally:
            shell.close()
            for peer in peers:
                peer.stop()
    for each, log in logs.items():
        print(f"--- {each}", log, sep="\n")
    _write(played, audit, logs, time.monotonic() - began)


def _write(played: list[dict[str, Any]], audit: Any, logs: dict[str, str], seconds: float) -> None:
    head = ("round", "took part", "revealed", "models bought", "rated", "phase")
    rows = [
        (
            each["round"],
            len(each["participants"]),
            sum(one["revealed"] for one in each["participants"]),
            sum(len(one["purchases"]) for one in each["participants"]),
            sum(one["rating"] is not None for one in each["participants"]),
            each["phase"],
        )
        for each in played
    ]
    findings = sum(len(each["findings"]) for each in audit["rounds"])
    warnings = sum(line.count(" WARNING ") for line in logs.values())
    errors = sum(line.count(" ERROR ") + line.count("Traceback") for line in logs.values())
    write(
        "docs/benchmarks.md",
        "guide",
        f"`python -m tests.soak guide`: the commands of [running.md](running.md#a-whole-market-on-one-machine) as they "
        f"stand there, with two Helia peers as the IPFS nodes. {ALONE} rounds without a hand on them, then bob is "
        f"stopped while one is played, and comes back. {errors} errors and {warnings} warnings in the five logs, "
        f"{findings} findings of an audit; {seconds:.0f} s.\n\n{table(head, rows)}",
    )


def _paid_out(shell: Shell, number: int) -> dict[str, Any]:
    """A round as anybody sees it, once everybody has been paid."""
    end = time.monotonic() + LONGEST
    while time.monotonic() < end:
        if number in _numbers(shell) and not int((found := _json(shell, "aggregator", f"status {number}"))["locked"]):
            print(f"round {number}: {found['phase']}", flush=True)
            return dict(found)
        time.sleep(3)
    raise SystemExit(f"round {number} is not paid out after {LONGEST} s\n{shell.run('tail -n 20 *.log')}")


def _numbers(shell: Shell) -> list[int]:
    """Of the rounds that were opened."""
    return [each["round"] for each in _json(shell, "aggregator", "status")["rounds"]]


def _json(shell: Shell, home: str, words: str) -> Any:
    return json.loads(shell.run(f"market-node --home {home} {words} --json 2>/dev/null"))  # text for people goes there
