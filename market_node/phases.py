"""The phases of a round: derived from its fields and the clock, as the contract derives them. Pure."""

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum

from .records import Terms


class Phase(IntEnum):
    """As in IMarket.sol."""

    COMMIT = 0
    DRAW = 1
    REVEAL = 2
    SETTLE = 3
    CHALLENGE = 4
    REFUTE = 5
    PAYOUT = 6
    VOID = 7

    def __str__(self) -> str:
        return self.name.capitalize()


@dataclass(frozen=True, slots=True)
class RoundState:
    """A round as the contract stores it. Times in seconds since the epoch; zero where it has not come that far."""

    aggregator: str
    terms: Terms
    participants: int
    """How many committed."""
    revealed: int
    """How many of them revealed."""
    seed_block: int
    seed_time: int
    """When the seed was drawn."""
    settle_time: int
    """When it was settled."""
    open_challenges: int
    seed: bytes
    reveals_hash: bytes
    settlement: bytes


def phase_of(state: RoundState, now: int) -> Phase:
    """The phase of a round at `now`, seconds since the epoch."""
    terms = state.terms
    if now < terms.commit_deadline:
        return Phase.COMMIT
    if state.participants < 2:
        return Phase.VOID
    if state.seed_time == 0:
        return Phase.DRAW if now < terms.commit_deadline + terms.draw_time else Phase.VOID
    revealed = state.seed_time + terms.reveal_time
    if now < revealed:
        return Phase.REVEAL
    if state.revealed < 2:
        return Phase.VOID
    if state.settle_time == 0:
        return Phase.SETTLE if now < revealed + terms.settle_time else Phase.VOID
    challenged = state.settle_time + terms.challenge_time
    if now < challenged:
        return Phase.CHALLENGE
    if state.open_challenges == 0:
        return Phase.PAYOUT
    return Phase.REFUTE if now < challenged + terms.refute_time else Phase.VOID


def span(state: RoundState, phase: Phase) -> tuple[int | None, int | None]:
    """When a phase starts and when it ends at the latest, seconds since the epoch; None where nothing says so yet."""
    terms = state.terms
    deadline = terms.commit_deadline
    revealed = state.seed_time + terms.reveal_time if state.seed_time else None
    settled = state.settle_time or None
    challenged = settled + terms.challenge_time if settled else None
    return {
        Phase.COMMIT: (None, deadline),
        Phase.DRAW: (deadline, state.seed_time or deadline + terms.draw_time),
        Phase.REVEAL: (state.seed_time or None, revealed),
        Phase.SETTLE: (revealed, settled or (revealed + terms.settle_time if revealed else None)),
        Phase.CHALLENGE: (settled, challenged),
        Phase.REFUTE: (challenged, challenged + terms.refute_time if challenged else None),
        Phase.PAYOUT: (challenged, None),
        Phase.VOID: (None, None),
    }[phase]


CONDITIONS = {
    Phase.DRAW: "commits are closed",
    Phase.REVEAL: "the seed is drawn",
    Phase.SETTLE: "the reveal phase is over",
    Phase.CHALLENGE: "the aggregator has settled",
    Phase.REFUTE: "a challenge is open at the end of the challenge phase",
    Phase.PAYOUT: "the challenge phase ends without an open challenge",
    Phase.VOID: "the round cannot be completed",
}
"""What a phase waits for, where the clock alone does not bring it."""


def explain(number: int, state: RoundState, now: int, needed: Phase) -> str:
    """Why a step that needs another phase cannot be taken now, in one line."""
    actual = phase_of(state, now)
    _, until = span(state, actual)
    here = f"round {number} is in {actual}" + (f" until {moment(until, now)}" if until else "")
    start, end = span(state, needed)
    if needed < actual:
        there = f"{needed} ended {moment(end, now)}" if end and end <= now else f"{needed} is over"
    elif actual == Phase.PAYOUT:
        there = f"{needed} will not come"
    elif start and start > now and needed != Phase.REFUTE and needed != Phase.PAYOUT:
        there = f"{needed} starts {moment(start, now)}"
    else:
        there = f"{needed} starts when {CONDITIONS[needed]}"
    return f"{here}; {there}"


def moment(time: int, now: int) -> str:
    """A time for a person: "2026-11-21 14:05:10 UTC (in 4 min)"."""
    away = f"in {length(time - now)}" if time > now else f"{length(now - time)} ago"
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S} UTC ({away})"


def length(seconds: int) -> str:
    """A length of time for a person, in its largest unit that gives at least 2."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
