"""Video: an event is a chunk of frames, sent and recorded as it is."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from unreel.engine.types import Event
from unreel.modalities.media.export import open_exporter
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.writer import FrameWriter
from unreel.streaming.present.base import Manner, Picture, Shape
from unreel.streaming.protocol import Media


class VideoPresenter:
    """See ``Presenter``."""

    def __init__(self, model: Any, shape: Shape | None = None) -> None:
        self._size: tuple[int, int] = model.frame_size
        self._event: Event | None = None
        self._last: Event | None = None

    def take(self, event: Event) -> None:
        self._event = event if event.final else None
        self._last = self._event or self._last

    def picture(self, format: str) -> Picture | None:
        event = self._event
        return None if event is None else Picture(event.payload, event.seq, event.chunk.index)

    def film(self) -> Frames | None:
        return None if self._event is None else self._event.payload

    def record(self, path: Path, fps: float) -> FrameWriter:
        return open_exporter(path, fps)

    def stills(self, format: str) -> Sequence[Picture]:
        event = self._last
        return [] if event is None else [Picture(event.payload[-1:], event.seq, event.chunk.index)]

    def size(self, format: str) -> tuple[int, int]:
        return self._size

    def describe(self, media: Media, init: bytes) -> tuple[Media, bytes]:
        return media, init


VIDEO = Manner(VideoPresenter)
