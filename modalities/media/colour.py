"""From RGB frames to what H.264 carries: limited-range BT.709 in 4:2:0, tagged as such."""

from __future__ import annotations

from typing import Any

import av
import numpy as np
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from unreel.modalities.media.frames import Frames


def tag_709(context: Any) -> None:
    """Have an encoder's context write down that its pictures are limited-range BT.709."""
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG


def to_yuv709(
    frame_HWC: Frames, width: int, height: int, interpolation: Interpolation = Interpolation.BICUBIC
) -> av.VideoFrame:
    """A yuv420p frame of ``width`` x ``height`` from uint8 RGB (H, W, 3), converted on one thread."""
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame_HWC), format="rgb24")
    return frame.reformat(
        width=width,
        height=height,
        format="yuv420p",
        src_color_range=ColorRange.JPEG,
        dst_colorspace=Colorspace.ITU709,
        dst_color_range=ColorRange.MPEG,
        dst_color_primaries=ColorPrimaries.BT709,
        dst_color_trc=ColorTrc.BT709,
        interpolation=interpolation | Interpolation.ACCURATE_RND,
        threads=1,
    )
