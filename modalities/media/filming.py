"""What the commands need of models that make whole frames: prompts as inputs, frames as they come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.media.export import open_exporter
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.works import Note, Order
from unreel.modalities.media.writer import FrameWriter


def inputs(model: Model) -> list[str]:
    """The model's conditions; actions have an option of their own."""
    return [name for name in model.controls if name != "action"]


def order(model: Model, inputs: Mapping[str, Any], note: Note) -> Order:
    return Order(dict(inputs))


class VideoFilm:
    """A ``FrameWriter`` fed with events, for at most ``limit`` frames."""

    def __init__(self, writer: FrameWriter, limit: int) -> None:
        self.writer, self.limit = writer, limit

    def __getattr__(self, name: str) -> Any:
        return getattr(self.writer, name)

    def add(self, event: Event) -> Frames | None:
        frames_THWC: Frames = event.payload[: self.limit - self.writer.frames]
        if not event.final or not len(frames_THWC):
            return None
        self.writer.write(frames_THWC)
        return frames_THWC

    def __enter__(self) -> VideoFilm:
        return self

    def __exit__(self, *fault: Any) -> None:
        self.writer.__exit__(*fault)


def exporter(path: Path, model: Model, order: Order, fps: float, scale: int | None, frames: int) -> VideoFilm:
    return VideoFilm(open_exporter(path, fps, scale), frames)


def collector(model: Model) -> Callable[[Event], Frames | None]:
    return lambda event: event.payload if event.final else None
