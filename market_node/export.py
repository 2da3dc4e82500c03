"""An account's payments, for its books: a row each, from the market's logs. Pure.

Amounts are base units, positive where the account gets them. Two columns are whole accounts of their own: the sum of
`available` is what the account can withdraw, and the sum of `wei` is what it paid for gas, negative.

A round's rows come when its money moves: what was locked at the commit, and what became of it at the payout. So the
rows of a deposit, and those into which a payout is taken apart, add up to what the escrow credited, to the unit.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime

from .audit import with_fault
from .contracts import Event, checksum
from .errors import ChainError
from .ledger import Ledger
from .parts import Why, payout_parts, refund_parts
from .records import Round
from .settlement import challenge_bond, counted_rows, rejects, trades

KINDS = {
    "funded": "tokens moved into the market",
    "withdrawn": "tokens moved out of it",
    "bond": "what an aggregator locked when it opened the round",
    "bond returned": "the rest of it at the end",
    "deposit": "what a participant locked at the commit",
    "deposit returned": "all of it, before the next rows are taken from it",
    "price paid": "to a seller, for its model",
    "price earned": "from a buyer, for the own model",
    "fee": "to the aggregator",
    "fee earned": "from a participant, as the aggregator",
    "reveal bond lost": "the bid was not revealed, or the model was excluded or named another account",
    "burnt by rejection": "what a buyer that rejected its delivery would have paid, its fee and its reveal bond",
    "share of lost bonds": "of those who did not reveal",
    "remainder": "what does not divide of the lost bonds, to the aggregator",
    "aggregator's fault": "of its bond and of lost bonds, to those who revealed in a round that is void by it",
    "challenge bond": "what a challenger locked",
    "challenge bond returned": "of a challenge that stood",
    "challenge reward": "for a challenge that stood, or for refuting a false one",
    "gas": "paid to the chain, in wei",
}
"""Every kind of row, and what it says."""

BURNT = "burnt by rejection"
CALLED = {
    Why.DEPOSIT: "deposit returned",
    Why.HIDDEN: "reveal bond lost",
    Why.EXCLUDED: "reveal bond lost",
    Why.FEE: "fee",
    Why.REJECTION: BURNT,
    Why.SHARE: "share of lost bonds",
    Why.BOUGHT: "price paid",
    Why.SOLD: "price earned",
    Why.UNPAID: "price earned",
    Why.FAULT: "aggregator's fault",
}
"""The kind of row that a part of a credit is."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Where on the chain, and when."""

    transaction: str
    block: int
    time: int
    """Seconds since the epoch."""
    log_index: int = 0


@dataclass(frozen=True, slots=True)
class Payment:
    """One row."""

    moment: Moment
    kind: str
    """A key of `KINDS`."""
    available: int
    """Base units; 0 for gas."""
    round: int | None = None
    role: str = ""
    """Participant, aggregator or challenger; empty where it is none of them."""
    counterparty: str = ""
    wei: int = 0


@dataclass(frozen=True, slots=True)
class Gas:
    """A transaction that the account has paid for."""

    moment: Moment
    round: int | None
    wei: int


@dataclass(frozen=True, slots=True)
class Figures:
    """What a node wrote down about a round, beside what was paid in it."""

    training_seconds: str = ""
    loss_before: str = ""
    """Mean loss on the hold-out samples with the own model."""
    loss_after: str = ""
    """The same with what was bought."""


def payments(
    account: str,
    events: Iterable[Event],
    ledger: Ledger,
    times: Mapping[int, int],
    gas: Iterable[Gas] = (),
) -> list[Payment]:
    """An account's rows, in the order of the chain.

    Args:
        events: all of the market's logs, as `Chain.events` gives them.
        ledger: what they add up to.
        times: block → seconds since the epoch; asked for the blocks of the account's rows.
        gas: what its transactions cost, where that is known.

    Raises:
        ChainError: an amount that the escrow has moved is not the one that its rows give.
    """
    rows = list(_Reader(account, ledger, times).rows(events))
    rows += [Payment(each.moment, "gas", 0, each.round, wei=-each.wei) for each in gas]
    return sorted(rows, key=lambda row: (row.moment.block, row.moment.log_index))


class _Reader:
    """Reads the logs once, and remembers of each round only whose money comes next."""

    def __init__(self, account: str, ledger: Ledger, times: Mapping[int, int]) -> None:
        self.account = checksum(account)
        self.ledger = ledger
        self.times = times
        self.paid: dict[int, set[int]] = {}
        self.span: dict[int, list[int]] = {}
        """By round, the indices whose credits come next."""
        self.ended: dict[int, int] = {}
        """By round, the challenge whose end is paid next."""
        self.claims: dict[int, bool] = {}
        """By round, whether the aggregator's side is in the next credits."""
        self.refunded: dict[int, bool] = {}

    def rows(self, events: Iterable[Event]) -> Iterator[Payment]:
        for event in events:
            for row in self._of(event, Moment(event.transaction, event.block, 0, event.log_index)):
                if row.available:
                    yield replace(row, moment=replace(row.moment, time=self.times[event.block]))

    def _of(self, event: Event, moment: Moment) -> Iterator[Payment]:
        said, number = event.arguments, event.arguments.get("round")
        if event.name in ("Funded", "Withdrawn") and said["account"] == self.account:
            sign = 1 if event.name == "Funded" else -1
            yield Payment(moment, event.name.lower(), sign * said["amount"])
        if not isinstance(number, int) or number not in self.ledger.rounds:
            return
        round_ = self.ledger.rounds[number]
        if event.name == "RoundOpened" and said["aggregator"] == self.account:
            yield Payment(moment, "bond", -round_.terms.bond, number, "aggregator")
        elif event.name == "Committed" and said["account"] == self.account:
            yield Payment(moment, "deposit", -said["deposit"], number, "participant", round_.aggregator)
        elif event.name == "ChallengeOpened" and said["challenger"] == self.account:
            yield Payment(moment, "challenge bond", -challenge_bond(round_.terms), number, "challenger")
        elif event.name in ("PaidOut", "Refunded"):
            done = self.paid.setdefault(number, set())
            self.span[number] = [index for index in range(said["from"], said["to"]) if index not in done]
            done.update(self.span[number])
            self.refunded[number] = event.name == "Refunded"
        elif event.name == "AggregatorPaid":
            self.claims[number] = bool(said["amount"])
        elif event.name in ("ChallengeRefuted", "ChallengeRefunded"):
            self.ended[number] = said["challenge"]
        elif event.name == "Credited":
            yield from self._credited(round_, said["credits"], moment)

    def _credited(self, round_: Round, words: Sequence[int], moment: Moment) -> Iterator[Payment]:
        number = round_.number
        credits = [(checksum(f"0x{word & (1 << 160) - 1:040x}"), word >> 160) for word in words]
        if (challenge := self.ended.pop(number, None)) is not None:
            groups = [(credits[0], self._rewarded(round_, challenge, credits[0][1]), "challenger")]
        else:
            span = self.span.pop(number, [])
            groups = [
                (credits[place], self._returned(round_, index), "participant") for place, index in enumerate(span)
            ]
            if self.claims.pop(number, False):
                groups.append((credits[-1], self._earned(round_, credits[-1][1]), "aggregator"))
        for (account, amount), parts, role in groups:
            if account != self.account:
                continue
            listed = list(parts)
            if (total := sum(units for _, units, _ in listed)) != amount:
                raise ChainError(f"round {number}: the escrow credited {amount} to {account}, the rules give {total}")
            for kind, units, counterparty in listed:
                yield Payment(moment, kind, units, number, role, counterparty)

    # --- what a credit is made of: kind, base units, counterparty ---

    def _returned(self, round_: Round, index: int) -> Iterator[tuple[str, int, str]]:
        if self.refunded[round_.number]:
            parts = refund_parts(round_, index, with_fault=with_fault(round_))
        else:
            assert round_.settlement is not None  # or nothing were paid out
            parts = payout_parts(round_, round_.settlement, index)
        burnt = any(part.why is Why.REJECTION for part in parts)
        for part in parts:
            kind = BURNT if burnt and part.why in (Why.BOUGHT, Why.FEE) else CALLED[part.why]
            to_aggregator = round_.aggregator if kind == "fee" else ""
            yield kind, part.amount, to_aggregator if part.other is None else round_.participants[part.other].account

    def _earned(self, round_: Round, amount: int) -> Iterator[tuple[str, int, str]]:
        terms = round_.terms
        yield "bond returned", min(amount, terms.bond), ""
        if self.refunded[round_.number] or round_.settlement is None:
            return
        rows, fees = counted_rows(round_, round_.settlement), 0
        for buyer, each in enumerate(round_.participants):
            if trades(round_, round_.settlement.excluded, buyer) and not rejects(each, rows[buyer]):
                fees += terms.fee
                yield "fee earned", terms.fee, each.account
        yield "remainder", amount - terms.bond - fees, ""

    def _rewarded(self, round_: Round, number: int, amount: int) -> Iterator[tuple[str, int, str]]:
        challenge, bond = round_.challenges[number], challenge_bond(round_.terms)
        if challenge.refuter is None:
            yield "challenge bond returned", bond, ""
            yield "challenge reward", amount - bond, round_.aggregator
        else:
            yield "challenge reward", amount, challenge.challenger


# --- the file ---

COLUMNS = (
    "time", "block", "transaction", "round", "role", "kind", "counterparty", "amount", "amount_base_units", "token",
    "wei", "training_seconds", "loss_before", "loss_after",
)  # fmt: skip


def to_csv(rows: Iterable[Payment], symbol: str, decimals: int, figures: Mapping[int, Figures] | None = None) -> str:
    """The rows as RFC 4180 has them. Amounts are decimals, written out in full: nothing is rounded.

    Args:
        figures: by round; they stand beside its first price paid.
    """
    out, left = io.StringIO(), dict(figures or {})
    writer = csv.writer(out)  # CRLF, and quotes only where they must be
    writer.writerow(COLUMNS)
    for row in rows:
        noted = left.pop(row.round, Figures()) if row.kind == "price paid" and row.round is not None else Figures()
        writer.writerow(
            (
                f"{datetime.fromtimestamp(row.moment.time, UTC):%Y-%m-%dT%H:%M:%SZ}",
                row.moment.block,
                row.moment.transaction,
                "" if row.round is None else row.round,
                row.role,
                row.kind,
                row.counterparty,
                decimal(row.available, decimals),
                row.available,
                _plain(symbol),
                row.wei,
                *(getattr(noted, each.name) for each in fields(noted)),
            )
        )
    return out.getvalue()


def decimal(units: int, decimals: int) -> str:
    """Base units as tokens, every digit: "-0.250000"."""
    whole, fraction = divmod(abs(units), 10**decimals)
    return ("-" if units < 0 else "") + str(whole) + (f".{fraction:0{decimals}}" if decimals else "")


def _plain(symbol: str) -> str:
    """A token's name was worded by a stranger: a spreadsheet must not take it for a formula."""
    return "'" + symbol if symbol[:1] in ("=", "+", "-", "@", "\t", "\r") else symbol
