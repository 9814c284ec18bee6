"""Convolutional pieces around a transformer trunk: folding of pixels into channels, and residual blocks."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


def fold_pixels(x_CPP: Tensor, fold: int) -> Tensor:
    """Pixels (..., C, P, P) to cells (..., C*f*f, P/f, P/f); channel order (colour, y, x). Lossless."""
    return F.pixel_unshuffle(x_CPP, fold)


def unfold_pixels(x_CHW: Tensor, fold: int) -> Tensor:
    """Cells back to pixels: the inverse of `fold_pixels`."""
    return F.pixel_shuffle(x_CHW, fold)


class ResBlock(nn.Module):
    """Two 3x3 convolutions, scaled and shifted between by a condition (R, cond); begins as the identity."""

    def __init__(self, width: int, cond: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.film = nn.Linear(cond, 2 * width)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None, "Conv2d has one by default"
        nn.init.zeros_(self.second.bias)

    def forward(self, x_RCHW: Tensor, cond_RD: Tensor) -> Tensor:
        scale, shift = self.film(cond_RD)[:, :, None, None].chunk(2, 1)
        h = self.first(F.silu(x_RCHW)) * (1 + scale) + shift
        out: Tensor = x_RCHW + self.second(F.silu(h))
        return out
