"""Personal models: weighted sums of updates, exact, with the same bytes on every device.

The weights of a row are integers that add up to 2**16, and an update is a difference of two int32, so no sum or
partial sum passes 2**16 · 2**32 = 2**48. int64 is exact, and so is float64, which holds every integer up to 2**53:
whatever the order in which a device, its threads or a fused multiply-add sums, the result is the same integer.
"""

from collections.abc import Collection, Iterator, Mapping
from math import isqrt

import torch
from torch import Tensor

from .errors import BadInput, OutOfRange
from .fixed import LEAST_FIXED, MOST_FIXED
from .records import ONE
from .settlement import weights as shared_out

MOST_UPDATE = (1 << 32) - 1
"""The largest difference of two int32."""

_WORKING = 1 << 25  # numbers that one matrix product reads and writes: 256 MiB in float64
_WAITING = 1 << 27  # fixed-point weights of models that are computed together: 512 MiB in int32


def limited(rows: Mapping[int, Mapping[int, int]], squares: Mapping[int, int]) -> dict[int, dict[int, int]]:
    """The rows' weights, shared out anew so that no update is louder than one as long as the buyer's own would be.

    Cosines know no length: beside an update ten times as long, the others of a row would not be heard. The limit is the
    buyer's own, so that no crowd of new accounts can move it. (Sun et al. 2019, "Can you really backdoor federated
    learning?", threshold norms by a constant.)

    Args:
        rows: buyer → (seller → weight, 2**16 = 1).
        squares: buyer or seller → |update|².

    Returns:
        As `rows`: in proportion to w · min(1, |own| / |update|).
    """
    return {
        buyer: shared_out(
            [(seller, _loudness(weight, squares[seller], squares[buyer])) for seller, weight in row.items()]
        )
        for buyer, row in rows.items()
    }


def squared_lengths(
    rows: Mapping[int, Mapping[int, int]], updates: Mapping[int, Tensor], chunk: int = 1 << 20
) -> dict[int, int]:
    """Buyer or seller → |update|², exact, of all that trade in these rows, by index. `updates`: 1-D, int64."""
    trade = sorted({index for buyer, row in rows.items() for index in (buyer, *row)})
    return {index: squared_length(updates[index], chunk) for index in trade}


def squared_length(update: Tensor, chunk: int = 1 << 20) -> int:
    """Σ update², exact. `update`: 1-D, int64, within ±`MOST_UPDATE`."""
    total = 0
    for start in range(0, len(update), chunk):
        high, low = update[start : start + chunk] >> 16, update[start : start + chunk] & 0xFFFF
        parts = (int((one * other).sum()) for one, other in ((high, high), (high, low), (low, low)))
        total += sum(part << shift for part, shift in zip(parts, (32, 17, 0), strict=True))
    return total


def _loudness(weight: int, square: int, own: int) -> int:
    """w · min(1, |own| / |update|), 2**64 = 1: so fine that the longest update beside the shortest counts."""
    return weight << 64 if square <= own or not own else isqrt((weight * weight * own << 128) // square)


def personal_model(
    base: Tensor,
    updates: Mapping[int, Tensor],
    weights: Mapping[int, int],
    device: str | torch.device = "cpu",
    chunk: int = 1 << 20,
) -> Tensor:
    """base + ((Σ w_j · update_j) >> 16), one buyer's delivery in fixed point.

    Args:
        base: 1-D, int32, the task's base checkpoint.
        updates: seller → 1-D, int64, as long as the base.
        weights: seller → weight, 2**16 = 1; they add up to 1.
        device: where it is computed; the tensors may be anywhere.
        chunk: weights that are there at a time.

    Returns:
        1-D, int32, on the CPU.

    Raises:
        BadInput: a seller without an update, or tensors or weights that do not fit.
        OutOfRange: an update or a result that no int32 weights have.
    """
    device = _device(device)
    _check_updates(base, updates, weights)
    _check_row(weights)
    model = torch.empty_like(base, device="cpu")
    for start in range(0, len(base), chunk):
        part = slice(start, start + chunk)
        total = torch.zeros(len(base[part]), dtype=torch.int64, device=device)
        for seller, weight in weights.items():
            total.add_(updates[seller][part].to(device), alpha=weight)
        model[part] = _narrow(base[part].to(device) + (total >> 16))
    return model


def personal_models(
    base: Tensor,
    updates: Mapping[int, Tensor],
    rows: Mapping[int, Mapping[int, int]],
    device: str | torch.device = "cpu",
    chunk: int = 1 << 20,
) -> Iterator[tuple[int, Tensor]]:
    """The deliveries of many buyers, in the order of `rows`: what `personal_model` gives, by matrix products.

    Memory beside the updates: about 1 GiB, or one model where that is more.

    Args:
        rows: buyer → (seller → weight), none empty. The others as in `personal_model`.

    Yields:
        (buyer, 1-D int32 on the CPU).
    """
    device = _device(device)
    _check_updates(base, updates, {seller for row in rows.values() for seller in row})
    for row in rows.values():
        _check_row(row)
    buyers, together = list(rows), max(1, _WAITING // len(base))
    for first in range(0, len(buyers), together):
        group = buyers[first : first + together]
        sellers = sorted({seller for buyer in group for seller in rows[buyer]})
        weights = torch.tensor([[rows[buyer].get(seller, 0) for seller in sellers] for buyer in group])
        models = _combine(base, [updates[seller] for seller in sellers], weights, device, chunk)
        yield from zip(group, models, strict=True)


def _combine(base: Tensor, updates: list[Tensor], weights: Tensor, device: torch.device, chunk: int) -> Tensor:
    """`buyers x len(base)`, int32, for weights of `buyers x sellers`, int64."""
    models = torch.empty(len(weights), len(base), dtype=torch.int32)
    exact = weights.to(device, torch.float64)
    chunk = max(1, min(chunk, _WORKING // sum(weights.shape)))
    offered = torch.empty(len(updates), min(chunk, len(base)), dtype=torch.float64, device=device)
    for start in range(0, len(base), chunk):
        part = slice(start, start + chunk)
        columns = offered[:, : len(base[part])]
        for row, update in zip(columns, updates, strict=True):
            row.copy_(update[part])
        totals = (exact @ columns).to(torch.int64)
        models[:, part] = _narrow(base[part].to(device) + (totals >> 16))
    return models


def _device(name: str | torch.device) -> torch.device:
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BadInput("no CUDA device here: choose the device cpu")
    return device


def _check_updates(base: Tensor, updates: Mapping[int, Tensor], sellers: Collection[int]) -> None:
    if base.dtype != torch.int32 or base.dim() != 1 or len(base) == 0:
        raise BadInput(f"a base is int32 in one dimension, not {base.dtype} {list(base.shape)}")
    for seller in sellers:
        if (update := updates.get(seller)) is None:
            raise BadInput(f"seller {seller} has no update")
        if update.dtype != torch.int64 or update.shape != base.shape:
            raise BadInput(
                f"the update of seller {seller} is {update.dtype} {list(update.shape)}, not int64 as the base"
            )
        least, most = (int(end) for end in update.aminmax())
        if max(-least, most) > MOST_UPDATE:
            raise OutOfRange(f"the update of seller {seller} reaches from {least} to {most}: no two models differ so")


def _check_row(weights: Mapping[int, int]) -> None:
    if sum(weights.values()) != ONE or min(weights.values()) < 0:
        raise BadInput(f"the weights of a row add up to 2**16, not {list(weights.values())}")


def _narrow(fixed: Tensor) -> Tensor:
    """int64 to int32. Where base and updates belong together it always fits: a mean lies between its models."""
    least, most = (int(end) for end in fixed.aminmax())
    if least < LEAST_FIXED or most > MOST_FIXED:
        raise OutOfRange(f"a personal model reaches from {least} to {most}: its updates are not of this base")
    return fixed.to(torch.int32)
