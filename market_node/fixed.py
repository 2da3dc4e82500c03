"""Weights as integers: what every sum, root and sketch is computed from.

A weight w is round(w · 2**bits), ties to even, in int32. The conversions are exact up to that one rounding on every
device: scaling by a power of two in float64 loses nothing, and neither does a difference of two int32 in int64.
"""

import torch
from torch import Tensor

from .errors import BadInput, MalformedUpdate, OutOfRange

QUANTUM_BITS = 24
"""A weight's quantum is 2**-24, unless its task says otherwise: weights from −128 to 128."""

MOST_BITS = 30
"""The finest quantum, 2**-30: weights from −2 to 2."""

LEAST_FIXED, MOST_FIXED = -(1 << 31), (1 << 31) - 1

_CHUNK = 1 << 18  # in float64 it stays in a core's cache
_EXACT = 1 << 53  # float64 holds every integer up to here


def to_fixed(weights: Tensor, bits: int = QUANTUM_BITS, name: str = "weights") -> Tensor:
    """Fixed-point weights.

    Args:
        weights: floating point, any shape.
        bits: the quantum is 2**-bits, 0 to 30.
        name: what an error calls the tensor.

    Returns:
        int32, of the same shape, on the same device.

    Raises:
        MalformedUpdate: not floating point, NaN or infinite.
        OutOfRange: a weight past what int32 holds.
    """
    _check_bits(bits)
    if not weights.is_floating_point():
        raise MalformedUpdate(f"tensor {name!r} holds {weights.dtype}, not floating-point weights")
    flat = weights.detach().reshape(-1)
    fixed = torch.empty(flat.shape, dtype=torch.int32, device=flat.device)
    for start in range(0, len(flat), _CHUNK):
        scaled = flat[start : start + _CHUNK].double().mul_(2.0**bits).round_()  # half to even
        least, most = scaled.aminmax()
        if not (least >= LEAST_FIXED and most <= MOST_FIXED):  # NaN compares false
            raise _refusal(flat[start : start + _CHUNK], scaled, bits, name)
        fixed[start : start + _CHUNK] = scaled
    return fixed.reshape(weights.shape)


def _refusal(weights: Tensor, scaled: Tensor, bits: int, name: str) -> MalformedUpdate | OutOfRange:
    if not weights.isfinite().all():
        return MalformedUpdate(f"tensor {name!r} holds a weight that is NaN or infinite")
    weight = weights[(scaled < LEAST_FIXED) | (scaled > MOST_FIXED)][0].item()
    limit = 2.0 ** (31 - bits)
    return OutOfRange(f"tensor {name!r} holds {weight:g}; a quantum of 2**-{bits} reaches from {-limit:g} to {limit:g}")


def from_fixed(fixed: Tensor, dtype: torch.dtype, bits: int = QUANTUM_BITS) -> Tensor:
    """Weights of fixed-point ones, each rounded once, to the nearest that `dtype` has, ties to even.

    Args:
        fixed: int32 or int64, any shape, each within ±2**53.
        dtype: float32, float16, bfloat16 or float64.

    Raises:
        OutOfRange: past what `dtype` holds.
    """
    _check_bits(bits)
    flat = fixed.detach().reshape(-1)
    weights = torch.empty(flat.shape, dtype=dtype, device=flat.device)
    for start in range(0, len(flat), _CHUNK):
        chunk = flat[start : start + _CHUNK]
        # As Python integers: against an int32 tensor, torch would wrap the bound to 0.
        least, most = (int(end) for end in chunk.aminmax())
        if least < -_EXACT or most > _EXACT:
            raise OutOfRange(f"fixed-point weights from {least} to {most} are not within ±2**53")
        weights[start : start + _CHUNK] = _narrow(chunk.double().mul_(2.0**-bits), dtype)
        if not weights[start : start + _CHUNK].isfinite().all():
            raise OutOfRange(f"fixed-point weights from {least} to {most} with {bits} bits do not fit {dtype}")
    return weights.reshape(fixed.shape)


def update_of(weights: Tensor, base: Tensor) -> Tensor:
    """The update: fixed-point weights minus the base's, int64 (33 bits are used; int32 would wrap)."""
    return weights.to(torch.int64) - base.to(torch.int64)


def _narrow(exact: Tensor, dtype: torch.dtype) -> Tensor:
    """Rounds float64 once. torch goes from float64 to 16 bits by way of float32, which would round twice.

    So the way through float32 is rounded to odd (Boldo and Melquiond 2008): toward zero, with the last bit set where
    anything was lost. Two more bits than the target's then decide ties as the exact value does.
    """
    if dtype in (torch.float32, torch.float64):
        return exact.to(dtype)
    near = exact.to(torch.float32)
    back = near.to(torch.float64)
    bits = near.view(torch.int32)
    bits -= (back.abs() > exact.abs()).to(torch.int32)
    bits |= (back != exact).to(torch.int32)
    return near.to(dtype)


def _check_bits(bits: int) -> None:
    if not 0 <= bits <= MOST_BITS:
        raise BadInput(f"a quantum has 0 to {MOST_BITS} bits, not {bits}")
