"""What is due for one account, whatever its roles. Pure: the same after a restart as before it."""

import hashlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ..audit import Trail
from ..judge import verdicts
from ..phases import Phase, RoundState, phase_of, span
from ..records import Round, Row
from ..settlement import counted_rows, standing
from ..terms import last_second

PUBLISH, OPEN, TRAIN, COMMIT, DRAW, REVEAL = "publish", "open", "train", "commit", "draw", "reveal"
SETTLE, DEFEND, FETCH, EVALUATE, RATE, REJECT = "settle", "defend", "fetch", "evaluate", "rate", "reject"
PAY_OUT, REFUND, WITHDRAW = "pay out", "refund", "withdraw"

FIRST = (
    PUBLISH, REVEAL, SETTLE, DEFEND, COMMIT, RATE, REJECT, DRAW, TRAIN, FETCH, EVALUATE, PAY_OUT, REFUND, OPEN, WITHDRAW
)  # fmt: skip
"""Which of two steps with one deadline is first."""

MOST_SPREAD = 60
"""Seconds over which those who may take a step spread, so that not all pay gas for it."""

SPREAD_PART = 20
"""They spread over a twentieth of the phase, if that is shorter."""

AFTERMATH = 7 * 86_400
"""For so long after its end a round's delivery is tried for, seconds."""


@dataclass(frozen=True, slots=True)
class Step:
    """Something to do now."""

    kind: str
    round: int = 0
    """0 where it belongs to none."""
    until: int | None = None
    """When its phase ends, seconds since the epoch."""

    @property
    def key(self) -> tuple[str, int]:
        return self.kind, self.round


@dataclass(frozen=True, slots=True)
class Seen:
    """A round, from its logs and from the contract."""

    round: Round
    state: RoundState
    trail: Trail

    def index(self, account: str) -> int | None:
        """The account's, None where it did not commit."""
        return next((i for i, each in enumerate(self.round.participants) if each.account == account), None)

    @property
    def is_paid(self) -> bool:
        """Whether everybody has what is theirs."""
        return self.trail.aggregator is not None and len(self.trail.paid) == len(self.round.participants)


@dataclass(frozen=True, slots=True)
class Me:
    """The node, as its files and its policy tell. Rounds by number."""

    account: str
    roles: Collection[str]
    """Of "participant", "aggregator" and "auditor"."""
    key_is_published: bool = True
    joining: Collection[int] = ()
    """Rounds that the policy joins."""
    offers: Collection[int] = ()
    """Rounds whose model is trained."""
    fetched: Collection[int] = ()
    """Rounds whose delivery is here."""
    judged: Mapping[int, int | None] = field(default_factory=dict)
    """Rounds whose delivery was mixed in → its rating, if it has one."""
    hopeless: Collection[int] = ()
    """Rounds whose delivery cannot be used."""
    lesson: tuple[str, int] | None = None
    """What is being trained: one at a time."""
    opens: bool = False
    """Whether the schedule opens a round now."""
    withdraws: bool = False
    """Whether the balance is above what the policy keeps in the market."""


def due(seen: Sequence[Seen], me: Me, now: int) -> tuple[Step, ...]:
    """What the account does now, the most urgent first. Pure."""
    trades = "participant" in me.roles or "aggregator" in me.roles
    if trades and not me.key_is_published:
        steps = [Step(PUBLISH)]  # without it no commit and no round
    else:
        steps = [step for each in seen for step in _of(each, me, now)]
        if me.opens:
            steps.append(Step(OPEN))
    if me.withdraws:
        steps.append(Step(WITHDRAW))
    never = 1 << 62
    return tuple(sorted(steps, key=lambda step: (step.until or never, FIRST.index(step.kind), step.round)))


def is_over(seen: Seen, me: Me, now: int) -> bool:
    """Whether nothing can become due in a round any more."""
    if seen.index(me.account) is None and seen.round.aggregator != me.account:
        return now >= seen.round.terms.commit_deadline  # others' affair; an auditor has its own list
    if not seen.is_paid:
        return False
    return not row_of(seen, me.account) or _is_done_with(seen, me, now) or seen.trail.refunded


def row_of(seen: Seen, account: str) -> Row:
    """What the account has bought."""
    index = seen.index(account)
    if seen.round.settlement is None or index is None:
        return ()
    return counted_rows(seen.round, seen.round.settlement)[index]


def _of(seen: Seen, me: Me, now: int) -> Iterator[Step]:
    phase = phase_of(seen.state, now)
    until = span(seen.state, phase)[1]
    number, index = seen.round.number, seen.index(me.account)
    mine = seen.round.aggregator == me.account and "aggregator" in me.roles
    takes_part = "participant" in me.roles and index is not None

    if phase == Phase.COMMIT and "participant" in me.roles and index is None and number in me.joining:
        if number in me.offers:
            yield Step(COMMIT, number, until)
        elif me.lesson is None:
            yield Step(TRAIN, number, until)
    if phase == Phase.DRAW and (mine or takes_part) and _turn(seen, me.account, phase, now):
        yield Step(DRAW, number, until)
    if phase == Phase.REVEAL and "participant" in me.roles and _is_hidden(seen, index):
        yield Step(REVEAL, number, until)
    if phase == Phase.SETTLE and mine:
        yield Step(SETTLE, number, until)
    if phase in (Phase.CHALLENGE, Phase.REFUTE) and mine and "auditor" not in me.roles and _is_slandered(seen.round):
        yield Step(DEFEND, number, until)
    if phase in (Phase.CHALLENGE, Phase.REFUTE, Phase.PAYOUT) and takes_part and row_of(seen, me.account):
        yield from _with_the_delivery(seen, me, phase, until, now)
    if phase in (Phase.PAYOUT, Phase.VOID) and not seen.is_paid and (mine or takes_part):
        kind = PAY_OUT if phase == Phase.PAYOUT else REFUND
        yield from [Step(kind, number)] if _turn(seen, me.account, phase, now) else ()


def _is_hidden(seen: Seen, index: int | None) -> bool:
    """Whether the account's bid can be opened and is not yet."""
    return index is not None and seen.round.seed is not None and seen.round.participants[index].reveal is None


def _is_slandered(round_: Round) -> bool:
    """Whether a challenge is open that is false."""
    return bool(standing(round_)) and any(verdicts(round_).values())


def _with_the_delivery(seen: Seen, me: Me, phase: Phase, until: int | None, now: int) -> Iterator[Step]:
    number, index = seen.round.number, seen.index(me.account)
    assert index is not None
    participant = seen.round.participants[index]
    answered = participant.rating is not None or participant.rejected
    if phase == Phase.CHALLENGE and not answered:
        if number in me.hopeless:
            yield Step(REJECT, number, until)
        elif me.judged.get(number) is not None:
            yield Step(RATE, number, until)
    if _is_done_with(seen, me, now):
        return
    if number not in me.fetched:
        yield Step(FETCH, number, until)
    elif me.lesson is None:
        yield Step(EVALUATE, number, until)


def _is_done_with(seen: Seen, me: Me, now: int) -> bool:
    number = seen.round.number
    return number in me.judged or number in me.hopeless or now > last_second(seen.round.terms) + AFTERMATH


def _turn(seen: Seen, account: str, phase: Phase, now: int) -> bool:
    """Whether it is the account's turn for what anyone may do: the aggregator's at once, the others' one by one."""
    if account == seen.round.aggregator:
        return True
    terms, began = seen.round.terms, _began(seen.state, phase)
    width = min(MOST_SPREAD, (terms.draw_time if phase == Phase.DRAW else terms.challenge_time) // SPREAD_PART)
    digest = hashlib.sha256(f"{account.lower()} {seen.round.number} {phase}".encode()).digest()
    return now >= began + width * int.from_bytes(digest[:4], "big") / (1 << 32)


def _began(state: RoundState, phase: Phase) -> int:
    """When a phase began, or could have; seconds since the epoch."""
    if phase != Phase.VOID:
        return span(state, phase)[0] or 0
    terms, deadline = state.terms, state.terms.commit_deadline
    if state.participants < 2:
        return deadline
    if not state.seed_time:
        return deadline + terms.draw_time
    revealed = state.seed_time + terms.reveal_time
    if state.revealed < 2:
        return revealed
    if not state.settle_time:
        return revealed + terms.settle_time
    return state.settle_time + terms.challenge_time + terms.refute_time
