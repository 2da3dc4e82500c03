"""The models of a participant, by round: what it offered, what it got, and what it made of both.

    7-offer.safetensors      committed in round 7      7-offer.json      its figures
    7-delivered.safetensors  bought in round 7
    7-adopted.safetensors    what came of both         7-adopted.json    its figures, with the rating
    7-model.safetensors      the same, for use: `adoption.drawn_back`

Figures are written last, so a model with figures is whole. They stay; weights go when newer ones have replaced them.
"""

import shutil
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path

from ..files import replacing
from ..trainer import Learned, figures_of, read_learned

OFFER, DELIVERED, ADOPTED, MODEL = "offer", "delivered", "adopted", "model"


@dataclass(frozen=True, slots=True)
class Beginning:
    """A model to train from."""

    weights: Path
    learned: Learned
    """Its figures."""
    is_new: bool
    """Whether it was trained since it was last offered: then it is offered as it is."""


class Studies:
    """The files of one market's rounds, under one folder."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder

    def path(self, number: int, what: str) -> Path:
        """Where a round's `OFFER`, `DELIVERED`, `ADOPTED` or `MODEL` is, or will be."""
        return self.folder / f"{number}-{what}.safetensors"

    def has(self, number: int, what: str) -> bool:
        """Whether it is there, whole."""
        path = self.path(number, what)
        return path.exists() if what in (DELIVERED, MODEL) else read_learned(path) is not None

    def judged(self, number: int) -> Learned | None:
        """What came of a round's delivery; None where that is not known yet."""
        return read_learned(self.path(number, ADOPTED), pruned=True)

    def newest(self, rounds: Iterable[int]) -> Beginning | None:
        """The model that was made last in these rounds, which are of one task; None where there is none.

        By time, because a delivery may be judged after the next round's model was offered.
        """
        made: list[tuple[int, int, Beginning]] = []
        for number in rounds:
            for what in (OFFER, ADOPTED):
                path = self.path(number, what)
                if learned := read_learned(path):
                    then = figures_of(path).stat().st_mtime_ns
                    made.append((then, number, Beginning(path, learned, is_new=what == ADOPTED)))
        return max(made, key=lambda each: each[:2])[2] if made else None

    def offer_as_it_is(self, number: int, model: Beginning) -> None:
        """Makes a model that was trained since it was last offered the offer of a round."""
        offer = self.path(number, OFFER)
        for source, target in ((model.weights, offer), (figures_of(model.weights), figures_of(offer))):
            with open(source, "rb") as file, replacing(target, 0o600) as copy:
                shutil.copyfileobj(file, copy)

    def prune(self, ended: Collection[int], rounds: Collection[int]) -> None:
        """Deletes the weights of ended rounds of one task, but for the newest of all its rounds and for use."""
        if (newest := self.newest(rounds)) is None:
            return
        used = [path for number in sorted(rounds) if (path := self.path(number, MODEL)).exists()]
        needed = {newest.weights, *used[-1:]}
        for path in (self.path(number, what) for number in ended for what in (OFFER, DELIVERED, ADOPTED, MODEL)):
            if path not in needed:
                for old in (path, path.with_suffix(".log")):
                    old.unlink(missing_ok=True)
