"""The codec's network: frames to compact features, and light heads that read them.

An encoder and a channel-wise variational bottleneck, 8 pixels a cell, as in latent diffusion (Rombach et al. 2022); one
trunk of convolutions back up, and on it one small head per output. Every frame stands for itself.

Letters: N frames, C channels, H and W pixels, h and w cells.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.engine.errors import UserError

CELL = 8  # pixels a side
CLASSES = ("ceiling", "floor", "wall", "thing")
HEADS = {"rgb": 3, "segmentation": len(CLASSES), "depth": 1}  # channels of each


@dataclass(frozen=True)
class CodecConfig:
    """``channels`` of a latent cell; widths of the convolutions at a half, a quarter and an eighth of the pixels."""

    channels: int = 16
    fine: int = 32
    middle: int = 64
    coarse: int = 128

    def __post_init__(self) -> None:
        if min(self.channels, self.fine, self.middle, self.coarse) < 1:
            raise UserError(f"the sizes of a world codec are 1 or more, got {self}")


class Residual(nn.Module):
    """Two 3x3 convolutions; begins as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        assert self.second.bias is not None, "made with one"
        nn.init.zeros_(self.second.bias)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        out: Tensor = x_NCHW + self.second(F.silu(self.first(F.silu(x_NCHW))))
        return out


class WorldCodecNet(nn.Module):
    """``moments``: frames to mean and log variance; ``trunk`` and ``head``: latents to what is read.

    ``mean`` and ``std`` (C,) of the latents over the training data make them standard: `encode` gives, and `features`
    takes, latents of mean 0 and variance 1 per channel.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        c = self.config = config
        self.encoder = nn.Sequential(
            nn.PixelUnshuffle(2), nn.Conv2d(12, c.fine, 3, padding=1), Residual(c.fine),
            nn.Conv2d(c.fine, c.middle, 4, stride=2, padding=1), Residual(c.middle),
            nn.Conv2d(c.middle, c.coarse, 4, stride=2, padding=1), Residual(c.coarse),
            nn.Conv2d(c.coarse, 2 * c.channels, 1),
        )  # fmt: skip
        self.trunk = nn.Sequential(
            nn.Conv2d(c.channels, c.coarse, 3, padding=1), Residual(c.coarse), Residual(c.coarse),
            nn.Conv2d(c.coarse, 4 * c.middle, 1), nn.PixelShuffle(2), Residual(c.middle), Residual(c.middle),
            nn.Conv2d(c.middle, 4 * c.fine, 1), nn.PixelShuffle(2), Residual(c.fine), nn.SiLU(),
        )  # fmt: skip
        self.heads = nn.ModuleDict(
            {name: nn.Conv2d(c.fine, 4 * channels, 3, padding=1) for name, channels in HEADS.items()}
        )
        self.register_buffer("mean", torch.zeros(c.channels))
        self.register_buffer("std", torch.ones(c.channels))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def moments(self, pixels_N3HW: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance (N, C, h, w), not standard yet, of pixels in -1..1."""
        mean, log_variance = self.encoder(pixels_N3HW).chunk(2, 1)
        return mean, log_variance.clamp(-12, 4)

    def features(self, raw_NChw: Tensor) -> Tensor:
        """What the heads look at, half the pixels a side, of latents as `moments` gives them."""
        out: Tensor = self.trunk(raw_NChw)
        return out

    def head(self, name: str, features: Tensor) -> Tensor:
        """rgb (N, 3, H, W) in -1..1, logits of the classes (N, K, H, W), or the logarithm of depth (N, 1, H, W)."""
        return F.pixel_shuffle(self.heads[name](features), 2)

    def encode(self, pixels_N3HW: Tensor) -> Tensor:
        """Standard latents (N, C, h, w) of pixels in -1..1."""
        return self.standard(self.moments(pixels_N3HW)[0])

    def standard(self, raw_NChw: Tensor) -> Tensor:
        """Of latents as `moments` gives them: those that `encode` gives."""
        return (raw_NChw - self._per_cell(self.mean)) / self._per_cell(self.std)

    def raw(self, latents_NChw: Tensor) -> Tensor:
        """Latents as `moments` gives them: the inverse of `standard`."""
        return latents_NChw * self._per_cell(self.std) + self._per_cell(self.mean)

    def _per_cell(self, numbers_C: Tensor) -> Tensor:
        return numbers_C[:, None, None]
