"""Rotary positions over several axes (RoFormer, Su et al. 2021, eq. 15; axial split as in Wan 2.1).

Angles are computed from coordinates, not looked up, so no table ever runs out.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

Angles = Tensor  # complex64 (..., D/2): cos + i sin


@dataclass(frozen=True)
class Rope:
    """``dims[a]`` channels of every head turn with axis ``a`` (time, height, width); pairs are neighbours."""

    dims: tuple[int, ...]
    theta: float = 10_000.0

    def __post_init__(self) -> None:
        if not self.dims or any(d <= 0 or d % 2 for d in self.dims):
            raise ValueError(f"rotary dims must be positive even numbers per axis, got {self.dims}")

    @classmethod
    def split(cls, head_dim: int, theta: float = 10_000.0) -> Rope:
        """Time, height, width shares of a head: the remainder of two thirds goes to time (Wan 2.1)."""
        side = 2 * (head_dim // 6)
        return cls((head_dim - 2 * side, side, side), theta)

    @property
    def axes(self) -> int:
        return len(self.dims)

    @cached_property
    def _frequencies(self) -> tuple[Tensor, ...]:
        return tuple(self.theta ** (-torch.arange(0, d, 2, dtype=torch.float64) / d) for d in self.dims)

    def angles(self, coords_NA: Tensor) -> Angles:
        """Points on the unit circle, complex64 (..., D/2), for coordinates (..., A)."""
        parts = [coords_NA[..., a, None].double() * f for a, f in enumerate(self._frequencies)]
        angle = torch.cat(parts, dim=-1)
        return torch.complex(angle.cos().float(), angle.sin().float())


def rotate(x: Tensor, angles: Angles) -> Tensor:
    """Turn ``x`` (..., N, H, D) by angles (..., N, 1 or H, D/2); same dtype out as in.

    Two neighbours are one complex number: a product instead of six sums and products.
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * angles).flatten(-2).to(x.dtype)
