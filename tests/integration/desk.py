"""A round whose aggregator posts what it likes, and an auditor at its desk."""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from market_node.audit import audit
from market_node.auditor import Auditor
from market_node.chain import Chain
from market_node.codec import encode_excluded, encode_rows
from market_node.history import History
from market_node.judge import proof
from market_node.records import Round, Row
from market_node.settlement import reveals_hash, settle
from tests.integration.stage import PHASE, Play

BOND = 1 << 24
CHALLENGE_BOND = BOND // 32
Rows = tuple[Row, ...]


def dearer(rows: Rows) -> Rows:
    """The first price of participant 1 one unit too high."""
    (first, *others), others_rows = rows[1], rows
    return (others_rows[0], (replace(first, price=first.price + 1), *others), *others_rows[2:])


class Stage(Play):
    """A round whose aggregator posts what it likes."""

    def settle_as(self, change: Callable[[Rows], Rows], excluded: frozenset[int] = frozenset()) -> "Stage":
        round_ = self.seen()
        rows = change(settle(round_, excluded).rows)
        words = encode_excluded(excluded, len(self.players))
        self.posted = (encode_rows(rows), words)
        self.aggregator.settle(self.number, reveals_hash(round_), words, self.posted[0], b"\x11" * 32)
        return self

    def seen(self) -> Round:
        history = History(self.aggregator)
        history.refresh()
        return history.round(self.number)

    def lie(self, liar: Chain, buyer: int = 0) -> int:
        """A challenge that lists nobody. Returns its number."""
        return liar.challenge(self.number, replace(proof(self.seen(), buyer), listed=()))[1]

    def end(self) -> "Stage":
        self.devnet.warp(PHASE)
        return self


@dataclass
class Desk:
    """Erin's auditor, which can be started again over the same reports."""

    chain: Chain
    folder: Path

    def __post_init__(self) -> None:
        self.restart()

    def restart(self, chain: Chain | None = None) -> "Desk":
        self.chain = chain or self.chain
        self.auditor = Auditor(self.chain, self.folder)
        return self

    def step(self) -> list[str]:
        step = self.auditor.step()
        assert step.failed == (), step.failed
        return list(step.said)

    def report(self, number: int) -> Any:
        return json.loads((self.folder / f"round-{number}.json").read_text())

    def actions(self, number: int) -> list[tuple[str, int, str | None]]:
        return [(each["doing"], each["of"], each["outcome"]) for each in self.report(number)["actions"]]


def money_findings(stage: Stage) -> list[str]:
    history = History(stage.aggregator)
    history.refresh()
    found = audit(history.check(stage.number), history.trail(stage.number)).findings
    return [each.kind for each in found if each.kind not in ("wrong-price", "wrong-row", "ignored-row")]
