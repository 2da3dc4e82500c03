"""What buyers find out about what they bought, and say: a statistic as noisy as a small hold-out's.

A buyer with h hold-out samples measures the paired loss of its own model and the delivery. As a share of its value the
delivery really moves it by e = G / value − harm · (share of the delivery that is worthless), and the statistic is

    t = e · √h / noise + a standard normal number

It rates 100 where t > 2, 0 where t < −2, else 75; with fewer than 30 hold-out samples it does not rate, as the node.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from ..mechanism import effective_samples
from ..records import Round, Row
from ..sketch import similarity_to
from .play import Seat
from .scenario import Judgement

BETTER, NEITHER, WORSE = 100, 75, 0
ERRORS = 2
"""Standard errors that make a difference."""
LEAST_HOLDOUT = 30


def answered(
    seats: Sequence[Seat],
    round_: Round,
    rows: Sequence[Row],
    gains: Sequence[int],
    judgement: Judgement,
    noise: NDArray[np.float64],
    willing: NDArray[np.float64],
) -> Round:
    """The round with the ratings and rejections that its buyers give.

    Args:
        rows: as they count; `gains`: `real_gains` of them.
        noise: standard normal numbers; `willing`: uniform ones below 1, both by owner's number.
    """
    participants = list(round_.participants)
    for index, (seat, row) in enumerate(zip(seats, rows, strict=True)):
        if not row:
            continue
        rating = seat.rates
        if rating is None and willing[seat.owner.number] < judgement.rated:
            effect = gains[index] / max(seat.owner.value, 1) - judgement.harm * _worthless(seats, round_, index, row)
            rating = found(effect, int(seat.owner.samples * judgement.holdout), judgement, noise[seat.owner.number])
        participants[index] = replace(participants[index], rating=rating, rejected=seat.rejects)
    return replace(round_, participants=tuple(participants))


def found(effect: float, holdout: int, judgement: Judgement, noise: float) -> int | None:
    """What a buyer rates a delivery of this effect."""
    if holdout < LEAST_HOLDOUT:
        return None
    statistic = effect * sqrt(holdout) / judgement.noise + float(noise)
    return BETTER if statistic > ERRORS else WORSE if statistic < -ERRORS else NEITHER


def _worthless(seats: Sequence[Seat], round_: Round, buyer: int, row: Row) -> float:
    """How much of a delivery is of models that are worth nothing to anybody."""
    garbage = [not any(seats[each.seller].update) for each in row]
    if not any(garbage):
        return 0.0
    shown = similarity_to(
        seats[buyer].sketch, [seats[each.seller].sketch for each in row], round_.terms.similarity_floor
    )
    sizes = [_size(round_, each.seller, alike) for each, alike in zip(row, shown, strict=True)]
    return sum(size for size, dead in zip(sizes, garbage, strict=True) if dead) / max(sum(sizes), 1)


def _size(round_: Round, seller: int, alike: int) -> int:
    """Effective samples as they were paid for."""
    reveal = round_.participants[seller].reveal
    assert reveal is not None
    return effective_samples(reveal.bid.samples, reveal.reputation, round_.terms.max_samples, alike)
