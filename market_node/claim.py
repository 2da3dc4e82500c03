"""What a model card claims of the privacy of its owner's samples: (ε, δ), and of what.

    "privacy": {"delta": 0.003, "epsilon": 2.97, "unit": "sample"}

A card without it claims nothing. Nobody else can check a claim: it is the owner's word.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from .errors import BadInput

FIELD = "privacy"
"""The card's."""

UNIT = "sample"
"""What is protected: whether any one sample was among those that were trained on. There is no other unit yet."""

_KEYS = {"delta", "epsilon", "unit"}


@dataclass(frozen=True, slots=True)
class Claim:
    """(ε, δ)-differential privacy of everything that has left the owner's training, up to this model and with it.

    Raises:
        BadInput: no such guarantee.
    """

    epsilon: float
    delta: float

    def __post_init__(self) -> None:
        for name, value in (("epsilon", self.epsilon), ("delta", self.delta)):
            if not _is_number(value):
                raise BadInput(f"the {name} of a privacy claim is a finite number, not {value!r}"[:200])
        if self.epsilon <= 0:
            raise BadInput(f"the epsilon of a privacy claim is above 0, not {self.epsilon}")
        if not 0 <= self.delta < 1:
            raise BadInput(f"the delta of a privacy claim is a probability below 1, not {self.delta}")

    def __str__(self) -> str:
        return f"ε = {self.epsilon:g}, δ = {self.delta:.2g}, of one {UNIT}"

    @property
    def field(self) -> dict[str, Any]:
        """As it stands on a card, under `FIELD`."""
        return {"delta": self.delta, "epsilon": self.epsilon, "unit": UNIT}


def _is_number(value: object) -> bool:
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    except OverflowError:  # an integer past every float
        return False


def claim_of(card: Mapping[str, Any]) -> Claim | None:
    """What a card claims; None where it claims nothing.

    Raises:
        BadInput: something else stands there, which claims nothing either.
    """
    if FIELD not in card:
        return None
    stated = card[FIELD]
    if not isinstance(stated, dict) or stated.keys() != _KEYS:
        raise BadInput(f"a card's {FIELD!r} has the keys {', '.join(sorted(_KEYS))}, not {stated!r}"[:200])
    if stated["unit"] != UNIT:
        raise BadInput(f"the unit of a privacy claim is {UNIT!r}, not {stated['unit']!r}"[:200])
    return Claim(stated["epsilon"], stated["delta"])
