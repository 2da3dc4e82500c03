"""What an auditor found and did in a round: one JSON file each, written before anything is sent."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .canonical import canonical, read_canonical
from .errors import BadInput, ConfigError
from .files import replacing
from .records import Row

DONE = "done"
"""The outcome of what succeeded."""

OVERTAKEN = "somebody was faster"
"""The outcome of what somebody else did just before."""

LIMIT = 1 << 24
"""Bytes of a report that is read back."""


@dataclass(frozen=True, slots=True)
class WrongRow:
    """A row that is not its buyer's."""

    buyer: int
    account: str
    expected: Row
    posted: Row


@dataclass(frozen=True, slots=True)
class Action:
    """Something that an auditor does on chain. Written down without an outcome before it is sent."""

    doing: str
    """"challenging", "refuting" or "refunding"."""
    of: int
    """The buyer whose row is challenged, or the number of the challenge."""
    nonce: int
    """The account's when it was written down: once the chain has used it up, it is known what came of it."""
    outcome: str | None = None
    """`DONE`, or why not; None while nobody knows."""
    transaction: str | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """All that there is to tell about a round."""

    round: int
    settlement: bytes
    """The word that the contract keeps of it."""
    phase: str
    wrong: tuple[WrongRow, ...]
    challenges: tuple[Mapping[str, Any], ...] = ()
    actions: tuple[Action, ...] = ()

    @property
    def verdict(self) -> str:
        """ "right" or "wrong": the settlement's."""
        return "wrong" if self.wrong else "right"

    @property
    def buyers(self) -> tuple[int, ...]:
        """Whose rows are wrong."""
        return tuple(each.buyer for each in self.wrong)

    def last(self, doing: str, of: int) -> Action | None:
        """The last attempt at something."""
        return next((each for each in reversed(self.actions) if (each.doing, each.of) == (doing, of)), None)

    def with_action(self, action: Action) -> "Report":
        """With one more, which takes the place of the last attempt at the same if that has not succeeded."""
        before = self.last(action.doing, action.of)
        if before is None or before.outcome == DONE:
            return replace(self, actions=(*self.actions, action))
        return replace(self, actions=tuple(action if each is before else each for each in self.actions))

    def document(self) -> dict[str, Any]:
        """For JSON; amounts are base units, as strings."""
        return {
            "round": self.round,
            "settlement": self.settlement.hex(),
            "phase": self.phase,
            "verdict": self.verdict,
            "wrong": [
                {
                    "buyer": each.buyer,
                    "account": each.account,
                    "expected": _purchases(each.expected),
                    "posted": _purchases(each.posted),
                }
                for each in self.wrong
            ],
            "challenges": [dict(each) for each in self.challenges],
            "actions": [asdict(each) for each in self.actions],
        }


class Reports:
    """A folder of reports on one market's rounds.

    Args:
        genesis: hash of the chain's first block: a development chain that starts again is another one.
    """

    def __init__(self, folder: Path, chain_id: int, genesis: bytes, market: str) -> None:
        self.folder = folder
        self._market = {"chain_id": chain_id, "genesis": genesis.hex(), "market": market}

    def path(self, number: int) -> Path:
        """Where a round's report is."""
        return self.folder / f"round-{number}.json"

    def actions(self, number: int) -> tuple[Action, ...]:
        """What was done in a round before; nothing where there is no report.

        Raises:
            ConfigError: the folder belongs to another market.
            BadInput: the report is damaged.
        """
        path = self.path(number)
        try:
            with open(path, "rb") as file:
                content = read_canonical(file.read(LIMIT))
            if any(content[key] != value for key, value in self._market.items()):
                raise ConfigError(f"{path} is a report on another market: choose another folder")
            return tuple(_action(each) for each in content["actions"])
        except FileNotFoundError:
            return ()
        except OSError as error:
            raise BadInput(f"cannot read {path}: {error.strerror}") from error
        except (ValueError, KeyError, TypeError) as error:
            raise BadInput(f"{path} is damaged ({type(error).__name__}) and is written anew") from error

    def write(self, report: Report) -> None:
        """It is on the disk when this returns. Raises BadInput where it cannot be."""
        path = self.path(report.round)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            with replacing(path) as file:
                file.write(canonical({**self._market, **report.document()}))
        except OSError as error:
            raise BadInput(f"cannot write {path}: {error.strerror}") from error


def _purchases(row: Row) -> list[dict[str, Any]]:
    return [{"seller": purchase.seller, "price": str(purchase.price)} for purchase in row]


def _action(item: dict[str, Any]) -> Action:
    action = Action(**item)
    for value, kinds in (
        (action.doing, (str,)),
        (action.of, (int,)),
        (action.nonce, (int,)),
        (action.outcome, (str, type(None))),
        (action.transaction, (str, type(None))),
    ):
        if type(value) not in kinds:
            raise TypeError(value)
    return action
