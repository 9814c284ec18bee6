"""What a dream of the reef is worth: numbers about uint8 frames (T, P, P, 3), no network involved.

The player is the only thing of its green (the weed is yellower), so it is found by colour alone.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unreel.modalities.media.frames import Frames

Mask = NDArray[np.bool_]  # (T, P, P)
Numbers = NDArray[np.float64]
MOVED = 8  # levels by which a pixel must differ to count as changed or foreign


def player_mask(frames_TPPC: Frames) -> Mask:
    """Pixels (T, P, P) of the player."""
    red, green, blue = (frames_TPPC[..., c].astype(np.float32) for c in range(3))
    hue = (abs(red - 0.224 * green) < 14) & (abs(blue - 0.551 * green) < 18)
    return hue & (green > 145) & (green < 215)


def fish_mask(frames_TPPC: Frames) -> Mask:
    """Pixels (T, P, P) of the pink fish."""
    red, green, blue = (frames_TPPC[..., c].astype(np.int16) for c in range(3))
    return (red > green + 35) & (blue > green + 35) & (red > 120)


def player_place(frames_TPPC: Frames, least: int = 6) -> Numbers:
    """Centre (T, 2) of the player as (x, y) in pixels, NaN where fewer than ``least`` pixels are found."""
    masks = player_mask(frames_TPPC)
    places = np.full((len(masks), 2), np.nan)
    for t, mask in enumerate(masks):
        ys, xs = np.nonzero(mask)
        if len(ys) >= least:
            near = (abs(xs - np.median(xs)) < 8) & (abs(ys - np.median(ys)) < 8)
            if near.any():  # else green pixels all over, but no player
                places[t] = xs[near].mean(), ys[near].mean()
    return places


def present(frames_TPPC: Frames, least: int = 6) -> float:
    """Share of the frames in which a player of at least ``least`` pixels is found."""
    return float((player_mask(frames_TPPC).sum((1, 2)) >= least).mean())


def overlap(a: Mask, b: Mask) -> float:
    """Intersection over union; NaN when both are empty."""
    union = (a | b).sum()
    return float((a & b).sum() / union) if union else float("nan")


def psnr(a: Frames, b: Frames) -> Numbers:
    """PSNR per frame in dB, at most 60."""
    error = np.mean((a.astype(np.float64) - b) ** 2, axis=(1, 2, 3))
    return 10 * np.log10(255.0**2 / np.maximum(error, 255.0**2 / 1e6))


def look(frames_TPPC: Frames) -> dict[str, float]:
    """Gradient energy, mean, contrast and change from frame to frame, each averaged over the film."""
    luma = frames_TPPC @ np.array([0.2126, 0.7152, 0.0722])
    down, across = np.diff(luma, axis=1), np.diff(luma, axis=2)
    return {
        "gradient": float(np.mean(down**2) + np.mean(across**2)),
        "mean": float(luma.mean()),
        "contrast": float(luma.std(axis=(1, 2)).mean()),
        "change": float(np.abs(np.diff(luma, axis=0)).mean()),
    }


def gated(frames_TPPC: Frames, last_PPC: Frames) -> Frames:
    """The dream, but a pixel that differs little from the last real frame is taken from it."""
    small = np.abs(frames_TPPC.astype(np.int16) - last_PPC).max(-1, keepdims=True) < 14
    return np.where(small, last_PPC, frames_TPPC)
