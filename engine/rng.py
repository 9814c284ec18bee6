"""One random stream per (session seed, chunk, draw): results depend on nothing else.

Stateless on purpose: no generator has to be saved, and neither batching nor pausing can shift a draw.
"""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def mixed_seed(seed: int, *path: int) -> int:
    """A 63-bit seed from ``seed`` and a path of integers (chunk, draw, ...)."""
    digest = hashlib.blake2b(repr((seed, *path)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") >> 1


def normal(shape: tuple[int, ...], seed: int, *path: int) -> Tensor:
    """Standard normal float32 noise of ``shape`` for this (seed, path)."""
    generator = torch.Generator().manual_seed(mixed_seed(seed, *path))
    return torch.randn(shape, generator=generator)
