"""Recomputes a round from the chain's logs alone and says what differs. Needs no key, no model and nobody's word.

The same pure functions that settle a round check it: `settlement.settle` for the rows, `settlement.payout` and
`settlement.refunds` for the money; `ledger` folds `settlement.reputations` over the rounds before.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from .records import Purchase, Round, Row, Settlement
from .settlement import Payout, Refund, challenge_bond, payout, refunds, settle, standing
from .terms import deposit_range

KINDS = {
    "wrong-price": "a seller is paid another price than its critical price",
    "wrong-row": "a row buys from other sellers, or in another order, than the buyer's choice",
    "ignored-row": "a row was posted for someone who did not reveal or is excluded; it counts as empty",
    "wrong-credit": "the escrow credited another amount than the rows and the terms give",
    "wrong-burn": "the escrow burnt another amount than the rules say",
    "wrong-aggregator": "the aggregator was paid another amount than what is left of the pot",
    "wrong-reward": "who challenged or refuted was paid another amount than the rules say",
    "wrong-reputation": "a reveal was given another reputation than the earlier rounds' ratings give",
    "wrong-deposit": "a deposit is outside what the terms allow",
    "unbalanced": "credits, burnt amounts and what is still locked do not add up to deposits and bond",
}
"""Every finding that an audit can make: kind → what it says."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it must be. Amounts in base units, reputations with 2**16 = 1."""

    kind: str
    """A key of `KINDS`."""
    round: int
    participant: int | None
    """Index of whom it concerns; None where it is the aggregator, a challenger, a refuter or the round."""
    account: str
    expected: object
    posted: object
    text: str


@dataclass(frozen=True, slots=True)
class Trail:
    """What the escrow and the reputations did for one round, as their logs tell it."""

    credits: dict[str, int] = field(default_factory=dict)
    """Account → base units, to participants as such: what else an account got is in `aggregator` and `rewards`."""
    paid: frozenset[int] = frozenset()
    """Indices that were paid out or refunded."""
    burnt: int = 0
    aggregator: int | None = None
    """What the aggregator got; None until its side is settled."""
    refunded: bool = False
    """Whether the payments were refunds of a void round."""
    rewards: Mapping[int, tuple[str, int]] = field(default_factory=dict)
    """Challenge → who was credited what when it ended: its refuter, or its challenger in a void round."""
    reputations: tuple[tuple[int, int, int], ...] = ()
    """(index, due, used) of each reveal: the reputation that the aggregator's earlier rounds give, and the one that the
    contract used. All that a reputation ever does, it does by the latter."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was recomputed and what was found."""

    round: int
    prices: int
    """Payments from a buyer to a seller that were recomputed."""
    credits: int
    """Credits to participants that were recomputed."""
    reputations: int
    """Reputations, as reveals used them, that were recomputed from earlier rounds."""
    standing: tuple[int, ...]
    """The challenges that nobody refuted, by number."""
    findings: tuple[Finding, ...]


def audit(round_: Round, trail: Trail) -> Audit:
    """Recomputes everything that the round's logs show so far."""
    findings = [*_deposits(round_)]
    prices = 0
    if round_.settlement is not None:
        true = settle(round_, round_.settlement.excluded)
        prices = sum(len(row) for row in true.rows)
        findings += _rows(round_, round_.settlement, true)
    findings += _money(round_, trail)
    findings += _rewards(round_, trail)
    findings += _reputations(round_, trail)
    return Audit(round_.number, prices, len(trail.paid), len(trail.reputations), standing(round_), tuple(findings))


def _deposits(round_: Round) -> Iterator[Finding]:
    least, most = deposit_range(round_.terms)
    for index, participant in enumerate(round_.participants):
        if not least <= participant.deposit <= most:
            text = f"participant {index} locked {participant.deposit}; the terms allow {least} … {most}"
            yield _finding("wrong-deposit", round_, index, (least, most), participant.deposit, text)


def _rows(round_: Round, posted: Settlement, true: Settlement) -> Iterator[Finding]:
    for buyer, (mine, theirs) in enumerate(zip(true.rows, posted.rows, strict=True)):
        if mine == theirs:
            continue
        reveal = round_.participants[buyer].reveal
        if reveal is None or buyer in posted.excluded:
            text = f"a row was posted for participant {buyer}, who does not trade; it counts as empty"
            yield _finding("ignored-row", round_, buyer, (), theirs, text)
        elif [purchase.seller for purchase in mine] == [purchase.seller for purchase in theirs]:
            for right, wrong in zip(mine, theirs, strict=True):
                if right != wrong:
                    text = f"participant {buyer} pays {right.seller} {wrong.price}, the critical price is {right.price}"
                    yield _finding("wrong-price", round_, buyer, right.price, wrong.price, text)
        else:
            text = f"participant {buyer} buys {_shown(theirs)}, its choice is {_shown(mine)}"
            yield _finding("wrong-row", round_, buyer, mine, theirs, text)


def _money(round_: Round, trail: Trail) -> Iterator[Finding]:
    if not trail.paid and trail.aggregator is None:
        return
    due: Payout | Refund
    if trail.refunded:
        due = due_refunds(round_)
    elif round_.settlement is not None:
        due = payout(round_, round_.settlement)
    else:
        yield _finding("unbalanced", round_, None, 0, sum(trail.credits.values()), "paid out without a settlement")
        return
    for index in sorted(trail.paid):
        account = round_.participants[index].account
        credited = trail.credits.get(account, 0)
        if credited != due.credits[index]:
            text = f"participant {index} was credited {credited}, due are {due.credits[index]}"
            yield _finding("wrong-credit", round_, index, due.credits[index], credited, text)
    if trail.aggregator is not None and trail.aggregator != due.aggregator:
        text = f"the aggregator was paid {trail.aggregator}, due are {due.aggregator}"
        yield _finding("wrong-aggregator", round_, None, due.aggregator, trail.aggregator, text)
    if len(trail.paid) == len(round_.participants) and trail.aggregator is not None:
        yield from _balance(round_, trail, due.burnt)


def _balance(round_: Round, trail: Trail, burnt: int) -> Iterator[Finding]:
    if trail.burnt != burnt:
        text = f"{trail.burnt} were burnt, the rules say {burnt}"
        yield _finding("wrong-burn", round_, None, burnt, trail.burnt, text)
    bond, terms = challenge_bond(round_.terms), round_.terms
    paid_in = (
        sum(participant.deposit for participant in round_.participants) + terms.bond + bond * len(round_.challenges)
    )
    rewards = sum(amount for _, amount in trail.rewards.values())
    paid_to = sum(trail.credits.values()) + trail.burnt + (trail.aggregator or 0) + rewards
    if trail.refunded:  # what challengers have not fetched yet is still locked
        waiting = [number for number in standing(round_) if round_.challenges[number].refunded is None]
        paid_to += len(waiting) * (bond + due_refunds(round_).challenger)
    if paid_in != paid_to:
        text = f"{paid_in} were paid in and {paid_to} are accounted for"
        yield _finding("unbalanced", round_, None, paid_in, paid_to, text)


def _rewards(round_: Round, trail: Trail) -> Iterator[Finding]:
    bond = challenge_bond(round_.terms)
    for number, (account, amount) in trail.rewards.items():
        challenge = round_.challenges[number]
        if challenge.refuter is None:
            whose, due, role = challenge.challenger, bond + due_refunds(round_).challenger, "challenger"
        else:
            whose, due, role = challenge.refuter, bond, "refuter"
        if (account, amount) != (whose, due):
            text = f"{account} was credited {amount} for challenge {number}, due are {due} to its {role} {whose}"
            yield _finding("wrong-reward", round_, None, due, amount, text, whose)


def due_refunds(round_: Round) -> Refund:
    """What everybody gets of a round that is void."""
    challengers = [round_.challenges[number].challenger for number in standing(round_)]
    return refunds(round_, with_fault=with_fault(round_), challengers=challengers)


def _reputations(round_: Round, trail: Trail) -> Iterator[Finding]:
    for index, due, used in trail.reputations:
        if used != due:
            text = f"participant {index} was given a reputation of {used}, its earlier ratings give {due}"
            yield _finding("wrong-reputation", round_, index, due, used, text)


def with_fault(round_: Round) -> bool:
    """Whether a void round is the aggregator's fault: enough revealed, so it had to settle, and rightly."""
    return sum(participant.reveal is not None for participant in round_.participants) >= 2


def _finding(
    kind: str,
    round_: Round,
    index: int | None,
    expected: object,
    posted: object,
    text: str,
    account: str | None = None,
) -> Finding:
    """Of a participant; without index, of `account` or else of the aggregator."""
    if account is None:
        account = round_.aggregator if index is None else round_.participants[index].account
    return Finding(kind, round_.number, index, account, expected, posted, f"round {round_.number}: {text}")


def _shown(row: Row) -> str:
    return ", ".join(map(_purchase, row)) or "nothing"


def _purchase(purchase: Purchase) -> str:
    return f"from {purchase.seller} at {purchase.price}"
