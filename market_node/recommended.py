"""Terms that are proposed where an aggregator does not say otherwise, by the size of the market.

Chosen from the figures in docs/economics.md, the floor from those in docs/benchmarks.md. Money follows what a model is
worth, limits how many samples people have.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from .errors import BadInput

TYPICAL_VALUE = 100
"""Tokens: what a perfect model is worth to the participant in the middle, where nobody says."""

TYPICAL_SAMPLES = 500
"""How many the participant in the middle has, where nobody says."""

PARTS = 10_000
"""Shares are stated in hundredths of a per cent."""


@dataclass(frozen=True, slots=True)
class Recommendation:
    """One set of terms. Shares are in 1/10,000."""

    max_participants: int
    max_sellers: int
    believed: int
    """maxSamples, in typical samples."""
    fee: int
    """Share of the typical value."""
    reveal_bond: int
    """Share of the typical value."""
    floor: int
    """The cosine that counts as none: what learns best with so many sellers (docs/benchmarks.md, Learning)."""

    def fee_for(self, value: int) -> int:
        """Base units, where a perfect model is typically worth `value`."""
        return value * self.fee // PARTS

    def reveal_bond_for(self, value: int) -> int:
        """Likewise."""
        return value * self.reveal_bond // PARTS

    def max_samples_for(self, samples: int) -> int:
        """Where participants typically have so many `samples`."""
        return self.believed * samples

    @property
    def floor_text(self) -> str:
        """As a person writes it."""
        return f"{self.floor / PARTS:g}"


RECOMMENDED: Mapping[str, Recommendation] = {
    "small": Recommendation(max_participants=32, max_sellers=8, believed=8, fee=100, reveal_bond=2_000, floor=2_000),
    "middle": Recommendation(max_participants=256, max_sellers=8, believed=4, fee=100, reveal_bond=2_000, floor=2_000),
    "large": Recommendation(max_participants=1024, max_sellers=8, believed=4, fee=100, reveal_bond=2_000, floor=2_000),
}
"""Size → terms: for markets of about 10, 100 and 1,000."""


def recommended(size: str | None, participants: int | None) -> Recommendation:
    """The set of this name; of none, the smallest that lets in so many participants.

    Raises:
        BadInput: there is no such set.
    """
    if size is not None and (not isinstance(size, str) or size not in RECOMMENDED):
        raise BadInput(f"the size of a market is {', '.join(RECOMMENDED)}, not {size!r}"[:200])
    return RECOMMENDED[size if size is not None else size_for(participants or 0)]


def size_for(participants: int) -> str:
    """The name of the smallest set that lets in so many; of the largest where none does."""
    fitting = (name for name, each in RECOMMENDED.items() if participants <= each.max_participants)
    return next(fitting, list(RECOMMENDED)[-1])
