"""Draws that depend on what they are for and on nothing else: not on their order, nor on how many processes draw."""

from zlib import crc32

import numpy as np


def keyed(seed: int, what: str, *numbers: int) -> np.random.Generator:
    """A generator for one thing, such as the noise of owner 7 in round 3.

    Args:
        seed: of the world, 0 … 2**32 − 1.
        what: always with as many numbers: a 0 at the end would change nothing.
        numbers: 0 … 2**32 − 1 each.
    """
    return np.random.default_rng((seed, crc32(what.encode()), *numbers))
