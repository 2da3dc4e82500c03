"""What follows from a policy: whether a participant joins a round, and which round an aggregator opens.

Pure; each no has one plain reason. Amounts are base units, times seconds.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from .policy import Opening, Participation
from .records import ONE, Bid, Round, Terms
from .settlement import counted_rows, rejects
from .terms import BOND_FACTOR, deposit_needed, deposit_range, exposure, last_second

# --- a participant's decision ---


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an account stands when it decides. Base units."""

    available: int
    spent: int = 0
    """What the ended rounds cost, less what they earned; below 0 where they earned more."""
    at_risk: int = 0
    """What the open rounds may still cost at most."""
    joined: int = 0
    """Rounds that the account has committed to."""
    rejections: Mapping[str, int] = field(default_factory=dict)
    """Aggregator → how many of its deliveries were rejected."""
    loss: float | None = None
    """Of the own model on the hold-out samples; None where it was not measured yet."""
    trained: bool = False
    """Whether the model for this round is there already."""


def rejections(rounds: Iterable[Round]) -> dict[str, int]:
    """Aggregator → how many of its deliveries were rejected by who had bought something: the others' cost nothing."""
    found: dict[str, int] = {}
    for round_ in rounds:
        if round_.settlement is not None:
            pairs = zip(round_.participants, counted_rows(round_, round_.settlement), strict=True)
            rejected = sum(rejects(participant, row) for participant, row in pairs)
            found[round_.aggregator] = found.get(round_.aggregator, 0) + rejected
    return found


@dataclass(frozen=True, slots=True)
class Join:
    """Commit to the round with this bid and deposit."""

    bid: Bid
    deposit: int


@dataclass(frozen=True, slots=True)
class Refuse:
    """Stay away. `reason` is for a person."""

    reason: str


def decide(
    policy: Participation,
    round_: Round,
    standing: Standing,
    now: int,
    amount: Callable[[int], str] = "{} base units".format,
) -> Join | Refuse:
    """Whether to join a round that takes commits, and with what. Pure.

    Args:
        amount: writes base units for a person.
    """
    reason = (
        _stopped(policy, standing)
        or _stranger(policy, round_, standing)
        or _too_hasty(policy, round_.terms, standing, now)
        or _too_dear(policy, round_.terms, standing, amount)
    )
    if reason:
        return Refuse(reason)
    bid = policy.bid
    deposit = _deposit(policy, round_.terms, bid, standing.available, amount)
    if isinstance(deposit, Refuse):
        return deposit
    stake = deposit + sum(each.deposit for each in round_.participants)
    # A wrong settlement that nobody challenges moves the deposits; what it costs its aggregator is the bond.
    if round_.terms.bond * ONE < policy.least_bond_share * stake:
        return Refuse(f"its bond of {amount(round_.terms.bond)} is small beside deposits of {amount(stake)}")
    return Join(bid, deposit)


def _stopped(policy: Participation, standing: Standing) -> str | None:
    if policy.stop_after_rounds is not None and standing.joined >= policy.stop_after_rounds:
        return f"{standing.joined} rounds were joined, and the policy stops after {policy.stop_after_rounds}"
    if policy.stop_at_loss is not None and standing.loss is not None and standing.loss <= policy.stop_at_loss:
        return f"the model's loss is {standing.loss:.4g}, and the policy stops at {policy.stop_at_loss:.4g}"
    return None


def _stranger(policy: Participation, round_: Round, standing: Standing) -> str | None:
    if round_.terms.task not in policy.tasks:
        return "its task is not subscribed to"
    if policy.aggregators and round_.aggregator not in policy.aggregators:
        return f"its aggregator {round_.aggregator} is not on the list"
    if round_.aggregator in policy.refused_aggregators:
        return f"its aggregator {round_.aggregator} is refused"
    rejected = standing.rejections.get(round_.aggregator, 0)
    if policy.most_rejections is not None and rejected > policy.most_rejections:
        return f"its aggregator has {rejected} rejected deliveries, and {policy.most_rejections} are tolerated"
    if len(round_.participants) >= round_.terms.max_participants:
        return "it is full"
    return None


def _too_hasty(policy: Participation, terms: Terms, standing: Standing, now: int) -> str | None:
    left = terms.commit_deadline - now
    if not standing.trained and left < policy.train_time:
        return f"its commits close in {left} s, and fetching and training take {policy.train_time} s"
    shortest = min(terms.draw_time, terms.reveal_time, terms.challenge_time)
    if shortest < policy.shortest_phase:
        return f"one of its phases takes {shortest} s, less than {policy.shortest_phase} s"
    if (locked := last_second(terms) - now) > policy.longest_lock:
        return f"it may lock money for {locked} s, longer than {policy.longest_lock} s"
    return None


def _too_dear(policy: Participation, terms: Terms, standing: Standing, amount: Callable[[int], str]) -> str | None:
    if policy.highest_fee is not None and terms.fee > policy.highest_fee:
        return f"its fee of {amount(terms.fee)} is above {amount(policy.highest_fee)}"
    cost = exposure(terms, policy.bid, 0).honest
    if policy.budget_per_round is not None and cost > policy.budget_per_round:
        return f"it may cost {amount(cost)}, and the budget of a round is {amount(policy.budget_per_round)}"
    committed = standing.spent + standing.at_risk
    if policy.budget is not None and committed + cost > policy.budget:
        return (
            f"it may cost {amount(cost)}, {amount(committed)} are spent or at risk, "
            f"and the budget is {amount(policy.budget)}"
        )
    return None


def _deposit(
    policy: Participation, terms: Terms, bid: Bid, available: int, amount: Callable[[int], str]
) -> int | Refuse:
    """The most that the terms and the policy allow and the balance covers, which says least about the value."""
    least, most = deposit_needed(terms, bid), deposit_range(terms)[1]
    if least > most:
        return Refuse(f"the value needs a deposit of {amount(least)}, and it allows {amount(most)}")
    if policy.highest_deposit is not None and least > policy.highest_deposit:
        return Refuse(f"it needs a deposit of {amount(least)}, above {amount(policy.highest_deposit)}")
    if least > available:
        return Refuse(f"it needs a deposit of {amount(least)}, and {amount(available)} are available: fund the account")
    return min(most, available, most if policy.highest_deposit is None else policy.highest_deposit)


# --- an aggregator's schedule ---


@dataclass(frozen=True, slots=True)
class Book:
    """An aggregator's own rounds, when it thinks of the next one."""

    opened: int
    """Rounds of it so far."""
    running: int
    """Rounds that have not ended."""
    last_deadline: int | None
    """When the commits of the newest one close, seconds since the epoch."""
    available: int
    """Base units."""


def schedule(
    policy: Opening, book: Book, now: int, amount: Callable[[int], str] = "{} base units".format
) -> Terms | Refuse:
    """The terms of a round that is to be opened now, or why none is. Pure."""
    if policy.rounds is not None and book.opened >= policy.rounds:
        return Refuse(f"{book.opened} rounds were opened, and the policy stops after {policy.rounds}")
    if book.running >= policy.at_once:
        return Refuse(f"{book.running} rounds are running")
    if book.last_deadline is not None and now < book.last_deadline - policy.commit + policy.every:
        return Refuse("the last one was opened not long ago")
    terms = Terms(
        task=policy.task,
        fee=policy.fee,
        reveal_bond=policy.reveal_bond,
        bond=BOND_FACTOR * policy.reveal_bond if policy.bond is None else policy.bond,
        max_samples=policy.max_samples,
        similarity_floor=policy.floor,
        max_sellers=policy.max_sellers,
        max_participants=policy.max_participants,
        commit_deadline=now + policy.commit,
        draw_time=policy.draw,
        reveal_time=policy.reveal,
        settle_time=policy.settle,
        challenge_time=policy.challenge,
        refute_time=policy.refute,
    )
    if book.available < terms.bond:
        return Refuse(
            f"the bond is {amount(terms.bond)} and {amount(book.available)} are available: fund the account first"
        )
    return terms
