"""Latents <-> frames without a learned codec: pixels folded into channels.

Axis letters: T frames, H and W pixels of a frame or cells of a latent, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from einops import rearrange
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames


@dataclass(frozen=True, slots=True)
class FoldCodec:
    """Folds every ``fold`` x ``fold`` block of pixels into the channels of one latent cell, and back.

    One latent frame is one frame, and uint8 values survive the round trip exactly. It keeps no state:
    every chunk decodes by itself, so the state is an empty dict.
    """

    fold: int = 4

    def __post_init__(self) -> None:
        if self.fold < 1:
            raise UserError(f"codec fold must be 1 or more, got {self.fold}")

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        """Shape (T, C, H, W) of the latents of so many frames; UserError when ``fold`` does not divide the size."""
        if height % self.fold or width % self.fold:
            raise UserError(
                f"frame height and width must be multiples of {self.fold} (the codec's fold), got {height}x{width}"
            )
        return frames, 3 * self.fold**2, height // self.fold, width // self.fold

    def encode(self, media: Frames) -> Tensor:
        """Latents (T, C, H, W), float32 in [-1, 1], of uint8 frames (T, H, W, 3)."""
        frames_THWC = torch.as_tensor(media)
        if frames_THWC.ndim != 4 or frames_THWC.shape[-1] != 3 or frames_THWC.dtype != torch.uint8:
            raise UserError(
                f"expected uint8 frames (time, height, width, 3), got {frames_THWC.dtype} {tuple(frames_THWC.shape)}"
            )
        self.latent_shape(*frames_THWC.shape[:3])
        folded = rearrange(frames_THWC, "t (h y) (w x) c -> t (c y x) h w", y=self.fold, x=self.fold)
        return folded.float() / 127.5 - 1.0

    def new_state(self) -> dict[str, Tensor]:
        """The state before the first chunk: nothing."""
        return {}

    def decode(self, latents: Tensor, state: dict[str, Tensor]) -> tuple[Frames, dict[str, Tensor]]:
        """Frames (T, H, W, 3) of latents (T, C, H, W) on any device; values outside [-1, 1] are clipped."""
        pixels = ((latents.detach().float() + 1.0) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
        frames_THWC = rearrange(pixels, "t (c y x) h w -> t (h y) (w x) c", y=self.fold, x=self.fold)
        return frames_THWC.cpu().contiguous().numpy(), state
