"""How close one future is to what came: single numbers of arrays over time, for ``Forecast.best_of`` and the bench."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from unreel.modalities.media.quality import LUMA

Array = NDArray[Any]
NEAR = 1.25  # a depth is right within this factor (Eigen et al. 2014)


def psnr(ours_THWC: Array, truth_THWC: Array) -> float:
    """Peak signal-to-noise ratio in dB, of each frame and then averaged; at most 60, so that equal frames count."""
    error = np.mean((ours_THWC.astype(np.float32) - truth_THWC) ** 2, axis=(1, 2, 3))
    return float(np.mean(10 * np.log10(255.0**2 / np.maximum(error, 255.0**2 / 1e6))))


def miou(ours_THW: Array, truth_THW: Array) -> float:
    """Intersection over union of each class that either has anywhere, averaged over classes."""
    found = np.union1d(ours_THW, truth_THW)
    both = [(ours_THW == one, truth_THW == one) for one in found]
    return float(np.mean([(a & b).sum() / (a | b).sum() for a, b in both]))


def d1(ours_THW: Array, truth_THW: Array) -> float:
    """Share of the pixels whose depth is within a factor of 1.25 of the truth."""
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.maximum(ours_THW / truth_THW, truth_THW / ours_THW)
    return float(np.mean(ratio[truth_THW > 0] < NEAR))


def absrel(ours_THW: Array, truth_THW: Array) -> float:
    """Absolute error of depth over the true depth, averaged over pixels."""
    known = truth_THW > 0
    return float(np.mean(np.abs(ours_THW[known] - truth_THW[known]) / truth_THW[known]))


def gradient_energy(frames_THWC: Array) -> float:
    """Squared differences of neighbouring pixels in luma, down and across: what haze loses."""
    luma = frames_THWC.astype(np.float32) @ LUMA.astype(np.float32)
    return float(np.mean(np.diff(luma, axis=1) ** 2) + np.mean(np.diff(luma, axis=2) ** 2))


# Name -> the output it is about, the function, and whether more is better.
METRICS: dict[str, tuple[str, Callable[[Array, Array], float], bool]] = {
    "psnr": ("rgb", psnr, True),
    "miou": ("segmentation", miou, True),
    "d1": ("depth", d1, True),
    "absrel": ("depth", absrel, False),
}
