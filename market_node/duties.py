"""What an honest auditor does in a round, and what came of it. Pure functions of what the chain tells."""

from dataclasses import dataclass, replace

from .judge import Refutation, verdicts
from .phases import Phase
from .records import Round
from .reports import DONE, OVERTAKEN, Action
from .settlement import standing

WATCHED = (Phase.CHALLENGE, Phase.REFUTE)
"""While a round is in these, there can be something to challenge or to refute."""


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that an honest auditor does now. `doing` and `of` as an `Action` has them."""

    doing: str
    of: int
    refutation: Refutation | None = None


def duties(round_: Round, phase: Phase, wrong: tuple[int, ...], account: str) -> tuple[Duty, ...]:
    """What is to be done in a settled round, in this order. Pure.

    Args:
        wrong: the buyers whose rows are wrong.
        account: the auditor's.
    """
    if phase == Phase.VOID:
        mine = (number for number in standing(round_) if round_.challenges[number].challenger == account)
        return tuple(Duty("refunding", number) for number in mine if round_.challenges[number].refunded is None)
    if phase not in WATCHED:
        return ()
    judged = verdicts(round_)
    refuting = tuple(Duty("refuting", number, each) for number, each in judged.items() if each)
    # One that is true voids the round, and nobody can refute it: another would only lock a bond.
    needed = phase == Phase.CHALLENGE and wrong and None not in judged.values()
    return (Duty("challenging", wrong[0]), *refuting) if needed else refuting


def outcome(round_: Round, action: Action, account: str) -> Action:
    """An action whose outcome was not known, as the chain tells it now."""
    if action.outcome is not None:
        return action
    if action.doing == "challenging":
        mine = (each for each in round_.challenges if each.challenger == account)
        return replace(action, outcome=DONE) if any(each.claim.buyer == action.of for each in mine) else action
    if action.of >= len(round_.challenges):
        return action  # a reorganisation took it away
    challenge = round_.challenges[action.of]
    if action.doing == "refuting" and challenge.refuter is not None:
        return replace(action, outcome=DONE if challenge.refuter == account else OVERTAKEN)
    return replace(action, outcome=DONE) if challenge.refunded is not None else action
