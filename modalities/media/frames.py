"""Frames, as every part of this folder passes them on: uint8 RGB arrays (time, height, width, 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unreel.engine.errors import UserError

Frames = NDArray[np.uint8]  # (T, H, W, 3), RGB; a single frame (H, W, 3) has the same type


def check_frames(frames: Frames, size: tuple[int, int] | None) -> Frames:
    """The frames as an array, or UserError when they are no uint8 RGB frames or not of ``size``."""
    array: Frames = np.asarray(frames)
    if array.ndim != 4 or array.shape[-1] != 3 or array.dtype != np.uint8 or 0 in array.shape[1:3]:
        raise UserError(f"expected uint8 frames (time, height, width, 3), got {array.dtype} {array.shape}")
    if size is not None and array.shape[1:3] != size:
        raise UserError(
            f"frames changed size: expected {size[0]}x{size[1]} (height x width) as in the first, "
            f"got {array.shape[1]}x{array.shape[2]}"
        )
    return array


def enlarge(frame_HWC: Frames, scale: int) -> Frames:
    """One frame, every pixel repeated ``scale`` times in both directions."""
    if scale == 1:
        return frame_HWC
    return frame_HWC.repeat(scale, axis=0).repeat(scale, axis=1)
