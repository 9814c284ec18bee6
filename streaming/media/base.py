"""What every live encoder offers, and how one is chosen."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import Protocol

import numpy as np
from PIL import Image

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames
from unreel.streaming.protocol import Media


@dataclass(frozen=True, slots=True)
class Encoded:
    """One chunk. ``sizes`` cuts ``data`` into frames; ``key``: decodes without any chunk before it."""

    data: bytes
    sizes: tuple[int, ...]
    key: bool


class Encoder(Protocol):
    """One per stream and format. ``encode`` returns the whole chunk at once; what it raises ends this format."""

    def encode(self, frames_THWC: Frames, key: bool) -> Encoded:
        """All frames of one chunk; ``key`` asks that the first be decodable alone."""
        ...

    def describe(self) -> tuple[Media, bytes]:
        """How the chunks are encoded, and the init segment (empty where there is none). After the first chunk."""
        ...


class JpegEncoder:
    """One JPEG per frame, full chroma. Every chunk is a key."""

    def __init__(self, height: int, width: int, fps: float, quality: int = 90) -> None:
        self.size, self.fps, self.quality = (height, width), fps, quality

    def encode(self, frames_THWC: Frames, key: bool) -> Encoded:
        parts = []
        for frame in frames_THWC:
            out = BytesIO()
            Image.fromarray(frame).save(out, "JPEG", quality=self.quality, subsampling=0)
            parts.append(out.getvalue())
        return Encoded(b"".join(parts), tuple(map(len, parts)), True)

    def describe(self) -> tuple[Media, bytes]:
        return Media(format="jpeg", mime="image/jpeg", width=self.size[1], height=self.size[0], fps=self.fps), b""


class RgbEncoder:
    """The frames as they are, uint8 (height, width, 3), one after the other. Every chunk is a key."""

    def __init__(self, height: int, width: int, fps: float) -> None:
        self.size, self.fps = (height, width), fps

    def encode(self, frames_THWC: Frames, key: bool) -> Encoded:
        one = frames_THWC[0].nbytes if len(frames_THWC) else 0
        return Encoded(np.ascontiguousarray(frames_THWC).tobytes(), (one,) * len(frames_THWC), True)

    def describe(self) -> tuple[Media, bytes]:
        media = Media(
            format="rgb", mime="application/octet-stream", width=self.size[1], height=self.size[0], fps=self.fps
        )
        return media, b""


FORMATS = ("h264", "fmp4", "jpeg", "rgb")  # of pictures; every modality has them


def open_encoder(format: str, height: int, width: int, fps: float) -> Encoder:
    """A live encoder for frames of this size.

    Raises:
        UserError: an unknown format.
    """
    if format in ("h264", "fmp4"):
        from unreel.streaming.media.h264 import Fmp4Encoder, H264Encoder

        return (H264Encoder if format == "h264" else Fmp4Encoder)(height, width, fps)
    if format == "jpeg":
        return JpegEncoder(height, width, fps)
    if format == "rgb":
        return RgbEncoder(height, width, fps)
    if format == "rows":
        from unreel.streaming.media.rows import RowsEncoder

        return RowsEncoder(height, width, fps)
    raise UserError(f"format must be one of {', '.join(FORMATS)} or rows, got {format!r}")
