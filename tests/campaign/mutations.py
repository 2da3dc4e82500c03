"""Right settlements with one thing changed."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

from market_node.records import LEAST_REPUTATION, ONE, Purchase, Round, Row, Settlement
from market_node.settlement import settle

Rows = tuple[Row, ...]


def _change(rows: Rows, buyer: int, row: Row) -> Rows:
    return (*rows[:buyer], row, *rows[buyer + 1 :])


@dataclass(frozen=True)
class Subject:
    """A right settlement, and a buyer whose row is to become wrong."""

    rng: Random
    round: Round
    true: Settlement
    buyer: int

    @property
    def row(self) -> Row:
        return self.true.rows[self.buyer]

    def changed(self, row: Row) -> Settlement:
        return replace(self.true, rows=_change(self.true.rows, self.buyer, row))

    def others(self) -> list[int]:
        """Whom the row does not buy from."""
        sellers = {purchase.seller for purchase in self.row}
        return [i for i in range(len(self.round.participants)) if i not in sellers]


def _price(subject: Subject, by: int) -> Settlement | None:
    if not subject.row:
        return None
    at = subject.rng.randrange(len(subject.row))
    purchase = subject.row[at]
    if purchase.price + by < 0:
        return None
    changed = replace(purchase, price=purchase.price + by)
    return subject.changed((*subject.row[:at], changed, *subject.row[at + 1 :]))


def price_above(subject: Subject) -> Settlement | None:
    return _price(subject, 1)


def price_below(subject: Subject) -> Settlement | None:
    return _price(subject, -1)


def swapped_sellers(subject: Subject) -> Settlement | None:
    """Two sellers change places, the prices stay."""
    if len(subject.row) < 2:
        return None
    row = list(subject.row)
    a, b = subject.rng.sample(range(len(row)), 2)
    row[a], row[b] = replace(row[a], seller=row[b].seller), replace(row[b], seller=row[a].seller)
    return subject.changed(tuple(row))


def omitted_seller(subject: Subject) -> Settlement | None:
    if not subject.row:
        return None
    at = subject.rng.randrange(len(subject.row))
    return subject.changed(subject.row[:at] + subject.row[at + 1 :])


def invented_seller(subject: Subject) -> Settlement | None:
    """One whom the buyer does not choose, or who does not even exist."""
    seller = subject.rng.choice([*subject.others(), len(subject.round.participants), 65_535])
    purchase = Purchase(seller, subject.rng.choice([0, 1, 1_000]))
    full = len(subject.row) == subject.round.terms.max_sellers
    return subject.changed((*(subject.row[:-1] if full else subject.row), purchase))


def another_order(subject: Subject) -> Settlement | None:
    if len(subject.row) < 2:
        return None
    row = list(subject.row)
    subject.rng.shuffle(row)
    return subject.changed(tuple(row))


def stale_reputation(subject: Subject) -> Settlement | None:
    """The row as it would be if one seller had another reputation than its reveal found."""
    round_, seller = subject.round, subject.rng.randrange(len(subject.round.participants))
    reveal = round_.participants[seller].reveal
    if reveal is None:
        return None
    before_or_after = subject.rng.choice([reveal.reputation * 2 // 3, reveal.reputation * 3 // 2])
    other = max(LEAST_REPUTATION, min(ONE, before_or_after))
    participants = list(round_.participants)
    participants[seller] = replace(participants[seller], reveal=replace(reveal, reputation=other))
    stale = settle(replace(round_, participants=tuple(participants)), subject.true.excluded)
    return subject.changed(stale.rows[subject.buyer])


def excluded_seller(subject: Subject) -> Settlement | None:
    """The row as it would be if one seller were not excluded, which it is; or the other way round."""
    seller = subject.rng.randrange(len(subject.round.participants))
    other = settle(subject.round, subject.true.excluded ^ {seller})
    return subject.changed(other.rows[subject.buyer])


def row_of_another(subject: Subject) -> Settlement | None:
    return subject.changed(subject.rng.choice(subject.true.rows))


def moved_amount(subject: Subject) -> Settlement | None:
    """One unit less for one buyer, one more for another: the sum stays."""
    others = [buyer for buyer, row in enumerate(subject.true.rows) if row and buyer != subject.buyer]
    cheaper = price_below(subject)
    if cheaper is None or not others:
        return None
    return price_above(replace(subject, true=cheaper, buyer=subject.rng.choice(others)))


def no_row(subject: Subject) -> Settlement | None:
    return subject.changed(())


def twice_the_same(subject: Subject) -> Settlement | None:
    if not subject.row or len(subject.row) == subject.round.terms.max_sellers:
        return None
    return subject.changed((*subject.row, subject.rng.choice(subject.row)))


MUTATIONS: tuple[Callable[[Subject], Settlement | None], ...] = (
    price_above,
    price_below,
    swapped_sellers,
    omitted_seller,
    invented_seller,
    another_order,
    stale_reputation,
    excluded_seller,
    row_of_another,
    moved_amount,
    no_row,
    twice_the_same,
)
