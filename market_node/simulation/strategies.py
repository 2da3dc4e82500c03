"""Lies: what an owner can say instead of the truth, one side of its bid at a time.

A lie changes what is said and never what is true: the model that a buyer gets is that of the owner's own data. A sketch
in another direction needs an aggregator that does not check it, or a model made from what others sold, which adds
nothing to what they sold already.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from ..records import LEAST_VALUE, NOT_SELLING, ONE, SKETCH_SIZE
from .bidding import View, account, truth
from .draws import keyed
from .play import Owner, Seat
from .sketches import quantised


@dataclass(frozen=True, slots=True)
class Lie:
    """One thing to say."""

    said: float
    """What is said in terms of the truth: a factor, a bar, or 1 − the cosine that is expected with the own sketch."""
    tell: Callable[[Seat, Sequence[Seat]], Seat]
    """The seat that says so, of the truthful one and of everybody's truthful seats."""


def costs(seat: Seat, everybody: Sequence[Seat], *, factor: float) -> Seat:
    return replace(seat, bid=replace(seat.bid, cost=min(_times(seat.bid.cost, factor), NOT_SELLING - 1)))


def samples(seat: Seat, everybody: Sequence[Seat], *, factor: float) -> Seat:
    return replace(seat, bid=replace(seat.bid, samples=max(1, _times(seat.bid.samples, factor))))


def value(seat: Seat, everybody: Sequence[Seat], *, factor: float) -> Seat:
    return replace(seat, bid=replace(seat.bid, value=max(LEAST_VALUE, _times(seat.bid.value, factor))))


def min_reputation(seat: Seat, everybody: Sequence[Seat], *, bar: float) -> Seat:
    return replace(seat, bid=replace(seat.bid, min_reputation=round(bar * ONE)))


def noised(seat: Seat, everybody: Sequence[Seat], *, noise: float) -> Seat:
    """The own sketch with noise of so many times its length added."""
    own = _vector(seat)
    added = keyed(seat.owner.number, "noise of a sketch", round(noise * 100)).standard_normal(SKETCH_SIZE)
    return _pointing(seat, own + noise * np.sqrt((own**2).mean()) * added)


def towards_all(seat: Seat, everybody: Sequence[Seat]) -> Seat:
    """The direction that everybody else has in common."""
    return _pointing(seat, _sum(each for each in everybody if each.owner.number != seat.owner.number))


def towards_others(seat: Seat, everybody: Sequence[Seat]) -> Seat:
    """The direction of another cluster: the largest one that is not the own; the own sketch where there is none."""
    others = [each for each in everybody if each.owner.cluster != seat.owner.cluster]
    if not others:
        return seat
    sizes: dict[int, int] = {}
    for each in others:
        sizes[each.owner.cluster] = sizes.get(each.owner.cluster, 0) + 1
    largest = max(sorted(sizes), key=sizes.__getitem__)
    return _pointing(seat, _sum(each for each in others if each.owner.cluster == largest))


def _factors(tell: Callable[..., Seat], *factors: float) -> tuple[Lie, ...]:
    return tuple(Lie(factor, partial(tell, factor=factor)) for factor in factors)


SIDES: Mapping[str, tuple[Lie, ...]] = {
    "cost": _factors(costs, 1, 0, 0.5, 0.8, 1.25, 2, 4),
    "samples": _factors(samples, 1, 0.25, 0.5, 2, 4, 10),
    "value": _factors(value, 1, 0.1, 0.25, 0.4, 0.55, 0.7, 0.85, 1.15),
    "minReputation": tuple(Lie(bar, partial(min_reputation, bar=bar)) for bar in (0.0, 0.0625, 0.125, 0.25, 0.5, 0.75)),
    "sketch": (
        Lie(0.0, lambda seat, everybody: seat),
        Lie(1 - 1 / np.sqrt(1.09), partial(noised, noise=0.3)),
        Lie(1 - 1 / np.sqrt(2), partial(noised, noise=1.0)),
        Lie(0.5, towards_all),
        Lie(0.85, towards_others),
    ),
}
"""Side of a bid → what can be said on it; the truth comes first."""

TRUTH = 0
"""The truth's place on every side."""


def shading(owner: Owner, view: View, rng: np.random.Generator) -> Sequence[Seat]:
    """For scenarios: bids half of its value."""
    return [value(truth(owner, view, rng)[0], (), factor=0.5)] if owner.value else truth(owner, view, rng)


def overstating(owner: Owner, view: View, rng: np.random.Generator) -> Sequence[Seat]:
    """For scenarios: claims ten times its samples."""
    return [samples(truth(owner, view, rng)[0], (), factor=10)]


def renewing(owner: Owner, view: View, rng: np.random.Generator) -> Sequence[Seat]:
    """For scenarios: a new account in each round, which claims ten times its samples."""
    return [replace(overstating(owner, view, rng)[0], account=account(owner.number, view.round))]


def _times(number: int, factor: float) -> int:
    return number * round(factor * 10_000) // 10_000


def _vector(seat: Seat) -> NDArray[np.float64]:
    return np.frombuffer(seat.sketch, np.int8).astype(np.float64)


def _sum(seats: Iterable[Seat]) -> NDArray[np.float64]:
    total: NDArray[np.float64] = np.sum([_vector(seat) for seat in seats], axis=0)
    return total


def _pointing(seat: Seat, direction: NDArray[np.float64]) -> Seat:
    """The seat with a sketch in this direction, and the same model as before behind it."""
    sketch = quantised((direction[None] * (1 << 20)).astype(np.int64))[0].tobytes()
    return replace(seat, sketch=sketch, real=seat.update)
