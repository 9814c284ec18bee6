"""Numbers instead of pictures: rows of float32, little-endian, one after the other."""

from __future__ import annotations

from typing import Any

import numpy as np

from unreel.streaming.media.base import Encoded
from unreel.streaming.protocol import Media


class RowsEncoder:
    """Rows (T, ``width``) as they are; every chunk is a key. ``height`` is 1. What they mean the presenter says."""

    def __init__(self, height: int, width: int, fps: float) -> None:
        self.size, self.fps = (height, width), fps

    def encode(self, rows_TW: Any, key: bool) -> Encoded:
        rows = np.ascontiguousarray(rows_TW, "<f4")
        return Encoded(rows.tobytes(), (4 * rows.shape[1],) * len(rows), True)

    def describe(self) -> tuple[Media, bytes]:
        height, width = self.size
        return Media(format="rows", mime="application/octet-stream", width=width, height=height, fps=self.fps), b""
