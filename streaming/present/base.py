"""What every modality offers the server: facts for the pure side, and a presenter for each session's events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from unreel.engine.types import Event
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.writer import FrameWriter
from unreel.streaming.backend import Part
from unreel.streaming.protocol import Media


@dataclass(frozen=True, slots=True)
class Picture:
    """What goes into one format's encoder and beside it. ``seq`` and ``chunk`` are those of the event it shows.

    ``key`` True: a newcomer can begin here; None: the encoder knows. ``whole``: all parts of its window are there.
    """

    frames: Frames
    seq: int
    chunk: int
    part: Part = Part()
    key: bool | None = None
    whole: bool = True


class Presenter(Protocol):
    """One session's events in order, on the studio's thread."""

    def take(self, event: Event) -> None:
        """The next event; the other methods then speak of it."""
        ...

    def picture(self, format: str) -> Picture | None:
        """What there is to send of it in a format, if anything."""
        ...

    def film(self) -> Frames | None:
        """The frames it adds to the film, if any."""
        ...

    def stills(self, format: str) -> Sequence[Picture]:
        """The last picture, one frame each of all its parts; none before the first."""
        ...

    def size(self, format: str) -> tuple[int, int]:
        """Height and width that an encoder of this format is opened with."""
        ...

    def describe(self, media: Media, init: bytes) -> tuple[Media, bytes]:
        """What an encoder says of itself, and what the modality adds to that."""
        ...


@dataclass(frozen=True, slots=True)
class Manner:
    """A modality as the server sees it.

    chunks   of the plan make one window of ``Model.frames_per_chunk`` frames
    parts    messages that one window takes at most, by format; 1 where it is not named
    rewind   chunks back that a session can go
    record   opens the recording of a session, given a path and frames per second
    view     makes what the control ``view`` takes, given a model, files and angles; None: there is no such control
    """

    presenter: Callable[[Any], Presenter]
    record: Callable[[Path, float], FrameWriter]
    chunks: int = 1
    parts: Mapping[str, int] = field(default_factory=dict)
    rewind: int = 16
    view: Callable[[Any, Mapping[str, Any]], dict[str, Any]] | None = None

    def flow(self, format: str, window: int, lag: int, ring: int) -> tuple[int, int, int]:
        """Credit, lag and ring of a stream, in chunks: two windows of time fit in whatever the client asks for."""
        parts = self.parts.get(format, 1)
        return (window if parts == 1 else max(window, 2 * parts)), lag * parts, ring * parts
