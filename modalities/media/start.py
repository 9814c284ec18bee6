"""What a generation starts from: an image, a clip or an array, brought to the model's frame size."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import av
import numpy as np
from PIL import Image, ImageOps, ImageSequence

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames, check_frames

IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff", ".ppm")


def load_start(
    source: str | os.PathLike[str] | Frames | None,
    frames: int,
    height: int,
    width: int,
    *,
    least: int | None = None,
    take: Literal["first", "last"] = "last",
    fit: Literal["exact", "crop"] = "exact",
    note: Callable[[str], None] | None = None,
) -> Frames | None:
    """Frames (time, height, width, 3) to start from, or None for None: ``frames`` of them, or as few as ``least``.

    An image, or an array (height, width, 3), stands still for ``least`` frames. Of a clip, or an array (time, height,
    width, 3), the first or last ``frames`` are taken. ``least`` None is ``frames``. Another size is an error with
    ``fit="exact"``; ``"crop"`` cuts the middle out and resizes it, and says so through ``note``.
    Raises UserError for anything that cannot be used.
    """
    if source is None:
        return None
    least = frames if least is None else least
    if isinstance(source, np.ndarray):
        name, clip_THWC = "the start", check_frames(source[None] if source.ndim == 3 else source, None)
        clip_THWC = clip_THWC[:frames] if take == "first" else clip_THWC[-frames:]
    else:
        name = f"start {source}"
        clip_THWC = _read(Path(source), frames, take)
    if len(clip_THWC) == 1:
        clip_THWC = clip_THWC.repeat(least, axis=0)
    if len(clip_THWC) < least:
        raise UserError(
            f"{name} has {len(clip_THWC)} frames, expected at least {least}; give a longer clip or an image"
        )
    return _fit(clip_THWC, height, width, name, fit, note)


def _read(path: Path, frames: int, take: str) -> Frames:
    """At most ``frames`` frames of a file, from its beginning or its end."""
    if not path.is_file():
        raise UserError(f"start {path} does not exist; give an image or a video file")
    reader = _read_image(path) if path.suffix.lower() in IMAGES else _read_clip(path)
    kept: deque[Frames] = deque(maxlen=frames)
    try:
        for frame_HWC in reader:
            kept.append(frame_HWC)
            if take == "first" and len(kept) == frames:
                break
    except (OSError, SyntaxError, ValueError, IndexError, av.FFmpegError, Image.DecompressionBombError) as error:
        raise UserError(f"start {path} is no image or video that can be read: {_one_line(error)}") from None
    if not kept:
        raise UserError(f"start {path} holds no picture; give an image or a video file")
    if len({frame.shape for frame in kept}) > 1:
        raise UserError(f"start {path} changes its frame size; give a clip of one size")
    return np.stack(kept)


def _read_image(path: Path) -> Iterator[Frames]:
    """The frames of an image file; one, unless it is animated."""
    with Image.open(path) as image:
        for frame in ImageSequence.Iterator(image):
            yield np.asarray(ImageOps.exif_transpose(frame).convert("RGB"), dtype=np.uint8)


def _read_clip(path: Path) -> Iterator[Frames]:
    """The frames of a video file, RGB."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _fit(clip_THWC: Frames, height: int, width: int, name: str, fit: str, note: Callable[[str], None] | None) -> Frames:
    """The clip at the wanted size: as it is, or its middle resized."""
    had_height, had_width = clip_THWC.shape[1:3]
    if (had_height, had_width) == (height, width):
        return np.ascontiguousarray(clip_THWC)
    sizes = f"{had_width}x{had_height} pixels, expected {width}x{height}"
    if fit != "crop":
        raise UserError(f"{name} is {sizes}; resize it, or pass fit=crop to have its middle cut out and resized")
    factor = min(had_height / height, had_width / width)
    cut_height, cut_width = max(1, round(height * factor)), max(1, round(width * factor))
    top, left = (had_height - cut_height) // 2, (had_width - cut_width) // 2
    cut = clip_THWC[:, top : top + cut_height, left : left + cut_width]
    if note is not None:
        note(f"{name} is {sizes}: its middle {cut_width}x{cut_height} was cut out and resized")
    return np.stack([np.asarray(Image.fromarray(f).resize((width, height), Image.Resampling.LANCZOS)) for f in cut])


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
