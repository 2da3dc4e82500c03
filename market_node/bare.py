"""A model that is its weights and nothing else, for a training whose network lives elsewhere."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from .errors import BadInput


class Bare(nn.Module):
    """What `build_model` gives where the network is in another process, or is one that all models share."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.weights = dict(weights)

    def state_dict(self, *_: Any, **__: Any) -> dict[str, Tensor]:  # type: ignore[override]
        """The weights by name; they are not copied."""
        return dict(self.weights)

    def load_state_dict(self, state_dict: Mapping[str, Any], *_: Any, **__: Any) -> Any:
        """Takes weights of the same names and shapes, as a network would."""
        for name in sorted(state_dict.keys() | self.weights.keys()):
            new, old = state_dict.get(name), self.weights.get(name)
            if new is None or old is None or new.shape != old.shape:
                raise BadInput(f"tensor {name!r} is {_shape(new)} where {_shape(old)} is expected")
        self.weights = {name: state_dict[name].detach().clone() for name in self.weights}


def _shape(tensor: Tensor | None) -> str:
    return "missing" if tensor is None else str(list(tensor.shape))
