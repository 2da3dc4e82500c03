"""Chance that nobody can guess who lacks its key: ChaCha20, as uniform and as Gaussian numbers.

torch's own generator keeps 32 bits of a seed: whoever holds what came of it could try them all.
"""

import numpy as np
import torch
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20
from torch import Tensor

_BITS = 52  # with the half that is added, as many as a float64 has


class Chance:
    """A stream of numbers, the same for the same key and number.

    Args:
        key: 32 bytes.
        number: of the stream; those of one key have nothing in common.
    """

    def __init__(self, key: bytes, number: int = 0) -> None:
        # The first half of what `cryptography` calls the nonce is where the count of blocks starts.
        self._stream = Cipher(ChaCha20(key, bytes(8) + number.to_bytes(8, "little")), mode=None).encryptor()

    def uniform(self, count: int) -> Tensor:
        """So many numbers between 0 and 1, neither of which is among them: float64."""
        drawn = np.frombuffer(self._stream.update(bytes(8 * count)), "<u8") >> (64 - _BITS)
        return torch.from_numpy((drawn + 0.5) / (1 << _BITS))

    def normal(self, shape: torch.Size) -> Tensor:
        """Independent Gaussian numbers of mean 0 and standard deviation 1, none above 8.2: float64."""
        drawn: Tensor = torch.special.ndtri(self.uniform(shape.numel()))
        return drawn.view(shape)
