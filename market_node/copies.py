"""Copies: updates that hold nothing new, but what others have offered in the last rounds. Pure.

From each update its projection on the span of the last rounds' updates is taken; what is left, the *residual*, is what
is new in it. All of that follows from the dot products of all updates with each other. Those are integers, and exact: a
number is split into two limbs of 17 bits, so that 2,048 products of limbs add up to at most 2**43, and float64 holds
every integer up to 2**53 (where all numbers of a piece are small, no split is needed). In whatever order a device or
its threads sum, the result is the same integer. What follows is done by single operations of IEEE 754 on arrays, never
by a library's matrix routine, so every machine rounds alike. Elimination takes the largest remaining diagonal first and
stops where less than `NOTHING` is left, so it errs by about n · 2**-52 / `NOTHING` of a norm squared at most: in theory
2e-7 for 1,024 updates, in practice 1e-13.

Two figures are not exact: by how much a dot product of residuals strays by chance, and those dot products in which
weights are clipped. They are sums in float64, right to about 1e-10 in any order; two machines differ where a score is
that close to its limit, and nowhere else.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .canonical import canonical
from .errors import BadInput, OutOfRange

NOTHING = 1e-6
"""Of a norm squared: a residual below 0.1 % of the update is none. A copy that float32 has rounded on its way to a file
has 1e-7 of it, and the smallest honest one that was measured 0.7 % (docs/benchmarks.md)."""

PASSING = 0.01
"""Of copies under noise, how many may pass: a score as far from 0 as the furthest of so many by chance has once in
100."""

OTHERS_SHARE = 0.2
"""Of what is not an account's own, squared: with less from others, noise hides no copy. An owner that buys nothing and
has nearly learned out has 0.19 at most. A copy under noise of half its size has 0.8 where it is unlike the own; about
one in ten has less than 0.2, because it is so like what its account has offered itself."""

LEAST_OTHERS = 4
"""Others that have something new: with fewer, nothing can be said of cosines with them."""

LEAST_WEIGHTS = 40_000
"""Below that nothing is said of cosines: the smallest model for which it was measured that honest ones are told from
chance has 44,426."""

WEIGHTS_EACH = 16
"""Weights for each update in a span, at least: few weights are spanned by anything, and so no test is made."""

MOST_UPDATE = (1 << 32) - 1
"""The largest difference of two int32."""

_COLUMNS = 1 << 11
_BITS = 17
_EXACT = 1 << 53

Floats = NDArray[np.float64]
Limbs = tuple[NDArray[np.int64], ...]


@dataclass(frozen=True, slots=True)
class Copy:
    """One update that is none of its account's own, and why. Lengths are of the update's, not squared."""

    index: int
    test: str
    """"span": nothing is new. "noise": what is new is neither like what is new in others nor unlike it. "twin": another
    one in the round is the same."""
    residual: float
    cosine: float | None = None
    """With the residual of that other one which it is furthest from chance with; for "noise"."""
    chance: float | None = None
    """One deviation of that cosine."""
    twin: int | None = None
    """Index of the other one."""

    def evidence(self, rounds: Sequence[int]) -> bytes:
        """What the delivery list says of it: canonical JSON, fractions in millionths.

        Args:
            rounds: numbers of those that it was compared with.
        """
        fractions = {"residual": self.residual, "cosine": self.cosine, "deviation": self.chance}
        said = {name: round(value * 1e6) for name, value in fractions.items() if value is not None}
        twin = {} if self.twin is None else {"twin": self.twin}
        return canonical({"test": self.test, "rounds": list(rounds), **said, **twin})


def find_copies(
    updates: Mapping[int, Tensor],
    last: Sequence[Tensor] = (),
    own: Mapping[int, Sequence[int]] | None = None,
    device: str | torch.device = "cpu",
) -> list[Copy]:
    """The copies among a round's updates.

    A zero update is none: it is like nobody's, so it neither sells nor buys.

    Args:
        updates: index → 1-D, int64, all of one length. May be mapped from files: they are read in pieces.
        last: updates of the last rounds, likewise.
        own: index → places in `last` of the same account's updates, without those that were copies themselves. What
            holds nothing but them is no copy: an account may offer its own again.
        device: where products are computed.

    Returns:
        In order of index.

    Raises:
        BadInput, OutOfRange: updates of different lengths or dtypes, or that no int32 weights have.
    """
    indices = sorted(updates)
    if not indices:
        return []
    weights = len(updates[indices[0]])
    if weights < WEIGHTS_EACH * len(last):
        last, own = (), {}
    rows = [*last, *(updates[index] for index in indices)]
    products = _Products(rows, device)
    return _Judge(products, len(last), indices, own or {}).copies()


class _Judge:
    """The decisions, on unit vectors. Places count from 0 in the order of `indices`."""

    def __init__(
        self, products: "_Products", old: int, indices: Sequence[int], own: Mapping[int, Sequence[int]]
    ) -> None:
        self.products, self.old, self.indices = products, old, indices
        self.cosines = products.cosines
        self.there = self.cosines.diagonal()[old:] > 0
        self.left = Elimination(self.cosines, old)
        self.new = self.left.rest
        self.size = np.maximum(self.new.diagonal(), 0.0)
        mine = [tuple(own.get(index, ())) for index in indices]
        self.not_own = np.array([self._without(old + place, places) for place, places in enumerate(mine)])
        self.again = self.there & (self.not_own < NOTHING)

    def copies(self) -> list[Copy]:
        found: dict[int, Copy] = {}
        twins = self._twins()
        for place, index in enumerate(self.indices):
            residual = sqrt(self.size[place])
            if self.again[place] or not self.there[place]:
                continue
            if self.old and self.size[place] < NOTHING:
                found[place] = Copy(index, "span", residual)
            elif place in twins:
                found[place] = Copy(index, "twin", residual, twin=self.indices[twins[place]])
        # Twins are one owner's, so they say nothing for each other.
        others = [each for each in range(len(self.indices)) if self.size[each] >= NOTHING and each not in twins]
        if self.old and self.products.weights >= LEAST_WEIGHTS and len(others) > LEAST_OTHERS:
            found |= self._noise(others, found)
        return [found[place] for place in sorted(found)]

    def _noise(self, others: list[int], found: Mapping[int, Copy]) -> dict[int, Copy]:
        """Those of `others` whose residual is within chance of every other one's.

        Noise has the sign of a weight by chance, whatever its size. So a dot product with what another one has there
        strays from 0 as a sum of so many coin tosses does, and a score, in deviations, is a standard normal value. Two
        scores with each other one share what may pass.
        """
        lengths = np.sqrt(self.size[others])
        cosines = self.new[np.ix_(others, others)] / lengths / lengths[:, None]
        chance = self.products.chance(self.left, others) / lengths / lengths[:, None]
        scores = np.abs(cosines) / np.where(chance > 0, chance, np.inf)
        np.fill_diagonal(scores, -np.inf)
        limit = NormalDist().inv_cdf(1 - PASSING / 4 / (len(others) - 1))
        suspects = [
            row
            for row, place in enumerate(others)
            if place not in found
            and not self.again[place]
            and scores[row].max() <= limit
            and 1 - self.size[place] / self.not_own[place] >= OTHERS_SHARE
        ]
        if not suspects:
            return {}
        clipped = np.abs(self.products.clipped(self.left, others, suspects, lengths))
        hidden = {}
        for row, evened in zip(suspects, clipped, strict=True):
            evened[row] = -np.inf
            if evened.max() <= limit:
                place, best = others[row], int(scores[row].argmax())
                figures = sqrt(self.size[place]), float(cosines[row, best]), float(chance[row, best])
                hidden[place] = Copy(self.indices[place], "noise", *figures)
        return hidden

    def _without(self, row: int, places: Sequence[int]) -> float:
        """What a row holds beside those at `places`: of its norm squared."""
        rows = [*places, row]
        return max(0.0, float(Elimination(self.cosines[np.ix_(rows, rows)], len(places)).rest[0, 0]))

    def _twins(self) -> dict[int, int]:
        """Place → place of another that is the same but for its size. Of such ones all but one are named: the one that
        is its account's own of before, else the first to commit, is not."""
        if self.products.weights < WEIGHTS_EACH * len(self.indices):
            return {}
        alike = self.cosines[self.old :, self.old :]
        order = sorted(range(len(self.indices)), key=lambda place: (not self.again[place], place))
        firsts: list[int] = []
        twins: dict[int, int] = {}
        for place in order:
            same = [first for first in firsts if alike[place, first] > 0 and 1 - alike[place, first] ** 2 < NOTHING]
            if same:
                twins[place] = same[0]
            elif self.there[place]:
                firsts.append(place)
        return twins


class Elimination:
    """Gaussian elimination of the first `old` rows from the dot products of unit vectors.

    By elementwise operations alone: each is rounded as IEEE 754 says, on every machine.
    """

    def __init__(self, cosines: Floats, old: int) -> None:
        left, product = cosines.copy(), np.empty_like(cosines)
        self.old = old
        self.pivots: list[int] = []
        """The rows of `old` that add something to the span, in the order in which they were taken."""
        self.columns: list[Floats] = []
        waiting = list(range(old))
        while waiting:
            pivot = max(waiting, key=lambda row: (left[row, row], -row))
            if (size := left[pivot, pivot]) < NOTHING:  # the others hold it already
                break
            waiting.remove(pivot)
            column = left[:, pivot] / np.sqrt(size)
            left -= np.multiply.outer(column, column, out=product)
            self.pivots.append(pivot)
            self.columns.append(column)
        self.rest: Floats = left[old:, old:]
        """Dot products of the residuals."""

    def coefficients(self, places: Sequence[int]) -> Floats:
        """How much of each pivot the projection of a row takes: `places x pivots`."""
        rows = [self.old + place for place in places]
        return self._taken(np.array([column[rows] for column in self.columns]).T.copy())

    def coefficients_of(self, products: Floats) -> Floats:
        """The same of any vectors. `products`: their dot products with the pivots, `n x pivots`."""
        rest, lower = products.copy(), np.empty_like(products)
        for step, column in enumerate(self.columns):
            lower[:, step] = rest[:, step] / column[self.pivots[step]]
            rest -= np.multiply.outer(lower[:, step], column[self.pivots])
        return self._taken(lower)

    def _taken(self, lower: Floats) -> Floats:
        """From dot products with what each pivot adds to the ones before it. `lower` is used up."""
        taken = np.empty_like(lower)
        for step in reversed(range(len(self.pivots))):
            pivot = self.pivots[step]
            taken[:, step] = lower[:, step] / self.columns[step][pivot]
            for earlier in range(step):
                lower[:, earlier] -= taken[:, step] * self.columns[earlier][pivot]
        return taken


class _Products:
    """What has to be read from the updates themselves, a piece of all of them at a time."""

    def __init__(self, rows: Sequence[Tensor], device: str | torch.device) -> None:
        self.rows, self.device = rows, device
        self.weights = len(rows[0])
        limbs = _limbs(rows, device)
        squares = _exact(tuple(limb.diagonal() for limb in limbs)).tolist()
        self.lengths = np.array([sqrt(square) or 1.0 for square in squares])
        self.cosines = np.empty(limbs[0].shape)
        for row in range(len(rows)):  # one at a time: Python's integers are five times as large
            exact = _exact(tuple(limb[row] for limb in limbs)).astype(np.float64)
            self.cosines[row] = exact / self.lengths / self.lengths[row]
        np.fill_diagonal(self.cosines, [float(square > 0) for square in squares])

    def chance(self, left: Elimination, places: Sequence[int]) -> Floats:
        """One deviation of the dot product of two residuals whose signs were drawn: √Σ e_k² f_k², `places x places`.

        Over P weights that share alike it is |e| · |f| / √P. Where a few have most, as in noise that grows with the
        weights or that spares all but a bias, it is more, and a cosine says less.
        """
        total = torch.zeros(len(places), len(places), dtype=torch.float64, device=self.device)
        for residuals, _ in self._residuals(left, places):
            squares = residuals.square_()
            total += squares @ squares.T
        deviations: Floats = total.sqrt_().cpu().numpy()
        return deviations

    def clipped(self, left: Elimination, places: Sequence[int], suspects: Sequence[int], lengths: Floats) -> Floats:
        """How like a suspect's residual is to another one's whose large weights are clipped, in deviations of chance.

        A few weights have most of a trained residual, and by their chance they hide what the many others say. Clipped,
        f is not outside the span any more, so it is projected once again: a copy's e is its noise less the noise's part
        in the span, and of that a dot product with a vector outside the span sees nothing.

        Args:
            suspects: which of `places`.
            lengths: of the residuals at `places`.

        Returns:
            `suspects x places`; 0 where chance is.
        """
        most = torch.from_numpy(lengths / sqrt(self.weights)).to(self.device).unsqueeze(1)
        alike = torch.zeros(len(suspects), len(places), dtype=torch.float64, device=self.device)
        inside = torch.zeros(len(places), len(left.pivots), dtype=torch.float64, device=self.device)
        for residuals, span in self._residuals(left, places):
            flat = residuals.clamp(-most, most)
            alike += residuals[suspects] @ flat.T
            inside += flat @ span.T
        taken = torch.from_numpy(left.coefficients_of(inside.cpu().numpy())).to(self.device)
        squares = torch.zeros_like(alike)
        for residuals, span in self._residuals(left, places):
            flat = residuals.clamp(-most, most) - taken @ span
            squares += residuals[suspects].square_() @ flat.square_().T
        scores: Floats = torch.where(squares > 0, alike / squares.sqrt(), 0.0).cpu().numpy()
        return scores

    def _residuals(self, left: Elimination, places: Sequence[int]) -> Iterator[tuple[Tensor, Tensor]]:
        """What is left of unit vectors, and the pivots, unit vectors too, a piece of all of them at a time."""
        taken = torch.from_numpy(left.coefficients(places)).to(self.device)
        rows = [left.old + place for place in places]
        own, span = ([self.rows[row] for row in each] for each in (rows, left.pivots))
        units = [torch.from_numpy(self.lengths[each]).to(self.device).unsqueeze(1) for each in (rows, left.pivots)]
        for new, last in zip(_pieces(own, self.device), _pieces(span, self.device), strict=True):
            pivots = last / units[1]
            yield new / units[0] - taken @ pivots, pivots


def gram(rows: Sequence[Tensor], device: str | torch.device = "cpu", columns: int = _COLUMNS) -> NDArray[np.object_]:
    """The dot product of every two rows: `n x n`, Python's integers.

    Args:
        rows: 1-D, integers of one length, each within ±(2**32 − 1).
        columns: weights that are there at a time, at most 2**20.
    """
    return _exact(_limbs(rows, device, columns))


def _limbs(rows: Sequence[Tensor], device: str | torch.device, columns: int = _COLUMNS) -> Limbs:
    """What `gram` says, in three parts: part 0 · 2**34 + part 1 · 2**17 + part 2, each int64."""
    for row in rows:
        if row.dim() != 1 or len(row) != len(rows[0]) or row.dtype not in (torch.int32, torch.int64):
            raise BadInput(f"updates are integers of one length, not {row.dtype} {list(row.shape)}")
    high, cross, low = (torch.zeros(len(rows), len(rows), dtype=torch.int64, device=device) for _ in range(3))
    for values in _pieces(rows, device, columns):
        most = int(values.abs().max())
        if most > MOST_UPDATE:
            raise OutOfRange(f"an update reaches ±{most}: no two models differ so")
        if most * most * values.shape[1] <= _EXACT:
            whole = (values @ values.T).to(torch.int64)
            cross += whole >> _BITS
            low += whole & ((1 << _BITS) - 1)
        else:
            upper = torch.floor((values + (1 << (_BITS - 1))) * 2.0**-_BITS)
            lower = values - upper * (1 << _BITS)  # within ±2**16, as the upper one
            mixed = (upper @ lower.T).to(torch.int64)
            high += (upper @ upper.T).to(torch.int64)
            cross += mixed + mixed.T
            low += (lower @ lower.T).to(torch.int64)
    return tuple(each.cpu().numpy() for each in (high, cross, low))


def _exact(limbs: Limbs) -> NDArray[np.object_]:
    high, cross, low = (each.astype(object) for each in limbs)
    exact: NDArray[np.object_] = (high << 2 * _BITS) + (cross << _BITS) + low
    return exact


def _pieces(rows: Sequence[Tensor], device: str | torch.device, columns: int = _COLUMNS) -> Iterator[Tensor]:
    """The rows as float64, `n x columns` at a time. Each piece is only there until the next one."""
    count = len(rows[0])
    part = torch.empty(len(rows), min(columns, count), dtype=torch.float64, device=device)
    for start in range(0, count, columns):
        values = part[:, : min(columns, count - start)]
        for place, row in enumerate(rows):
            values[place].copy_(row[start : start + columns])
        yield values
