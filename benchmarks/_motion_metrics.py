"""What is measured of motions: plain functions of joint places (T, J, 3) in metres, at ``fps`` frames per second."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.floating[Any]]

NEAR = 0.05  # metres above its lowest place below which a foot counts as on the ground
STILL = 0.02  # metres per second that the fastest joint moves at the most while somebody is frozen


def mpjpe_mm(ours_TJ3: Numbers, real_TJ3: Numbers) -> float:
    """Mean distance of joints in millimetres, as they stand (nothing is aligned)."""
    return float(1000 * np.linalg.norm(np.asarray(ours_TJ3, float) - real_TJ3, axis=-1).mean())


def foot_skate(feet_TF3: Numbers, fps: float) -> float:
    """Metres per second that feet slide over the ground while they are near it, on average; NaN if they never are.

    The ground is where the lowest foot is in the lowest twentieth of the frames.
    """
    feet = np.asarray(feet_TF3, float)
    ground = np.quantile(feet[..., 1].min(1), 0.05)
    low = np.maximum(feet[1:, :, 1], feet[:-1, :, 1]) < ground + NEAR
    speed = np.linalg.norm(np.diff(feet[..., [0, 2]], axis=0), axis=-1) * fps
    return float(speed[low].mean()) if low.any() else float("nan")


def jerks(places_TJ3: Numbers, fps: float) -> Numbers:
    """The largest third derivative of any joint (T - 3,), metres per second cubed, over four frames from ``t`` on."""
    return np.asarray(np.linalg.norm(np.diff(np.asarray(places_TJ3, float), n=3, axis=0), axis=-1).max(1) * fps**3)


def jerk_at_joins(places_TJ3: Numbers, fps: float, chunk: int) -> dict[str, float]:
    """Peak jerk over four frames, two on each side of a join between chunks, against four frames of one chunk.

    ``ratio`` of the means and ``ratio_p95`` of the 95th percentiles; ``joins`` and ``inside`` are means.
    """
    peaks = jerks(places_TJ3, fps)
    at = np.arange(len(peaks)) % chunk
    joins, inside = peaks[at == chunk - 2], peaks[at <= chunk - 4]
    return {
        "joins": float(joins.mean()),
        "inside": float(inside.mean()),
        "ratio": float(joins.mean() / inside.mean()),
        "ratio_p95": float(np.quantile(joins, 0.95) / np.quantile(inside, 0.95)),
    }


def longest_freeze(places_TJ3: Numbers, fps: float) -> float:
    """Seconds of the longest stretch in which no joint moves faster than `STILL`."""
    speed = np.linalg.norm(np.diff(np.asarray(places_TJ3, float), axis=0), axis=-1).max(1) * fps
    longest = run = 0
    for still in speed < STILL:
        run = run + 1 if still else 0
        longest = max(longest, run)
    return longest / fps


def height_drift(heights_T: Numbers, fps: float) -> dict[str, float]:
    """Root height (metres) in the first and the last minute, means, and the largest change of any minute's mean."""
    minute = max(1, min(len(heights_T), round(60 * fps)))
    means = [float(part.mean()) for part in np.array_split(heights_T, max(1, len(heights_T) // minute))]
    return {"first": means[0], "last": means[-1], "largest": max(abs(mean - means[0]) for mean in means)}
