"""What is kept of a round: a line for each account in it, and one for each owner that was not there."""

from dataclasses import dataclass

OUT = -1
"""The aggregator of who was in no round."""


@dataclass(frozen=True, slots=True)
class Line:
    """One account in one round. Money in base units, reputation with 2**16 = 1."""

    owner: int
    group: str
    cluster: int
    samples: int
    """True ones."""
    aggregator: int
    """From 0; `OUT`, the owner was in no round, and all that follows is 0."""
    account: int = 0
    """Which of its owner's accounts, from 0."""
    value: int = 0
    """Bid, as are cost and claimed samples."""
    cost: int = 0
    claimed: int = 0
    bought: int = 0
    sold: int = 0
    spent: int = 0
    """Prices paid, less what somebody from outside paid of them."""
    earned: int = 0
    fee: int = 0
    """The fee and lost bonds, less what the lost bonds of others brought."""
    worth: int = 0
    harm: int = 0
    reputation: int = 0
    """With its aggregator, after the round."""

    @property
    def joined(self) -> bool:
        return self.aggregator != OUT

    @property
    def money(self) -> int:
        return self.earned - self.spent - self.fee

    @property
    def profit(self) -> int:
        return self.money + self.worth - self.harm


@dataclass(frozen=True, slots=True)
class Totals:
    """What an aggregator's round moved beside what its participants' lines say. Base units."""

    aggregator: int = 0
    """Its income: fees and what does not divide of lost bonds."""
    burnt: int = 0
    subsidy: int = 0
    """Paid by somebody from outside."""

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.aggregator + other.aggregator, self.burnt + other.burnt, self.subsidy + other.subsidy)
