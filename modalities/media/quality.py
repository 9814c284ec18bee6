"""How close two films are (PSNR, SSIM), and what one film looks like as it goes on.

Everything takes uint8 frames (time, height, width, 3) and returns one number per frame.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames

Numbers = NDArray[np.float64]

LUMA = np.array([0.2126, 0.7152, 0.0722])  # BT.709


def psnr(a_THWC: Frames, b_THWC: Frames) -> Numbers:
    """Peak signal-to-noise ratio per frame in dB over all three channels; infinite where frames are equal."""
    _same(a_THWC, b_THWC)
    error = np.mean((a_THWC.astype(np.float64) - b_THWC) ** 2, axis=(1, 2, 3))
    with np.errstate(divide="ignore"):
        ratio: Numbers = 10 * np.log10(255.0**2 / error)
    return ratio


def ssim(a_THWC: Frames, b_THWC: Frames) -> Numbers:
    """Structural similarity per frame on luma: Gaussian window of 11 pixels, sigma 1.5, as in Wang et al. 2004.

    Only windows that lie wholly inside the frame count. UserError for frames smaller than 11 pixels.
    """
    similarity: Numbers = ssim_map(a_THWC, b_THWC).mean(axis=(1, 2))
    return similarity


def ssim_map(a_THWC: Frames, b_THWC: Frames) -> Numbers:
    """The structural similarity of every window: (T, H - 10, W - 10); the first is that of the top left 11 pixels."""
    _same(a_THWC, b_THWC)
    if min(a_THWC.shape[1:3]) < 11:
        raise UserError(f"SSIM needs frames of 11x11 pixels or more, got {a_THWC.shape[1]}x{a_THWC.shape[2]}")
    x, y = (torch.from_numpy(frames @ LUMA)[:, None] for frames in (a_THWC, b_THWC))
    line = torch.exp(-((torch.arange(11, dtype=torch.float64) - 5) ** 2) / (2 * 1.5**2))
    line = line / line.sum()

    def blur(z: torch.Tensor) -> torch.Tensor:
        return F.conv2d(F.conv2d(z, line.reshape(1, 1, 11, 1)), line.reshape(1, 1, 1, 11))

    mean_x, mean_y = blur(x), blur(y)
    var_x, var_y = blur(x * x) - mean_x**2, blur(y * y) - mean_y**2
    both = blur(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    index = (2 * mean_x * mean_y + c1) * (2 * both + c2)
    index = index / ((mean_x**2 + mean_y**2 + c1) * (var_x + var_y + c2))
    similarity: Numbers = index[:, 0].numpy()
    return similarity


@dataclass
class Look:
    """Collects per frame, in levels of 0..255 luma: gradient energy, mean, contrast, and change from the frame before.

    A film that turns to haze loses gradient energy and contrast; one that freezes loses change. ``change`` has no
    value for the first frame. Of frames of 480 pixels and more every second pixel is looked at (960: every fourth).
    """

    gradient: list[float] = field(default_factory=list)
    mean: list[float] = field(default_factory=list)
    contrast: list[float] = field(default_factory=list)
    change: list[float] = field(default_factory=list)
    _last: NDArray[np.float32] | None = None

    def add(self, frames_THWC: Frames) -> None:
        """Take in the next frames of the film."""
        step = max(1, min(frames_THWC.shape[1:3]) // 240)
        for frame_HWC in frames_THWC[:, ::step, ::step]:
            red, green, blue = (frame_HWC[..., c] * np.float32(LUMA[c]) for c in range(3))
            luma = red + green + blue
            down, across = np.diff(luma, axis=0), np.diff(luma, axis=1)
            self.gradient.append(float(np.mean(down**2) + np.mean(across**2)))
            self.mean.append(float(luma.mean()))
            self.contrast.append(float(luma.std()))
            if self._last is not None:
                self.change.append(float(np.abs(luma - self._last).mean()))
            self._last = luma

    def drift(self, frames: int = 100) -> dict[str, float | None]:
        """Last ``frames`` frames over the first ones (at most a half each): 1.0 is no drift, None is undefined."""
        half = max(1, min(frames, len(self.mean) // 2))
        return {
            name: _ratio(values[-half:], values[:half])
            for name, values in (
                ("gradient_energy", self.gradient),
                ("mean", self.mean),
                ("contrast", self.contrast),
                ("change", self.change),
            )
        }


def _ratio(late: list[float], early: list[float]) -> float | None:
    below = float(np.mean(early)) if early else 0.0
    return float(np.mean(late)) / below if below > 0 else None


def _same(a: Frames, b: Frames) -> None:
    if a.shape != b.shape:
        raise UserError(f"films of one size and length can be compared, got {a.shape} and {b.shape}")
