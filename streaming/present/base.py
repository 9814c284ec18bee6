"""What every modality offers the server: facts for the pure side, and a presenter for each session's events."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.rig import Rig
from unreel.streaming.backend import Part
from unreel.streaming.media.base import FORMATS
from unreel.streaming.protocol import Media
from unreel.streaming.recording import Writer


@dataclass(frozen=True, eq=False)
class Shape:
    """An uploaded mesh or rig: what is shown of it, how that goes over the wire, what the session is sent first.

    ``about`` is what whoever uploaded it is told.
    """

    content: Mesh | Rig
    glb: bytes
    controls: tuple[tuple[str, Any], ...]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def nbytes(self) -> int:
        """About what it takes in memory."""
        return 3 * len(self.glb)


@dataclass(frozen=True, slots=True)
class Picture:
    """What goes into one format's encoder and beside it. ``seq`` and ``chunk`` are those of the event it shows.

    ``frames`` are uint8 (T, H, W, 3), for ``rows`` float32 (T, W).
    ``key`` True: a newcomer can begin here; None: the encoder knows. ``whole``: all parts of its window are there.
    """

    frames: Any
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

    def film(self) -> Any:
        """The frames (or poses, or joints) it adds to the recording; None where it adds none."""
        ...

    def record(self, path: Path, fps: float) -> Writer:
        """Open the recording of this session."""
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
    suffix   of recordings
    view     makes what the control ``view`` takes, given a model, files and angles; None: there is no such control
    formats  that there are; the pictures' alone, or ``rows`` too
    takes    what ``configure`` has as ``mesh``: a surface (without one there is no session), a rig, or nothing
    shape    reads an upload: the model, the bytes, their suffix, and what is done about a rig that is there
    example  a shape that is there without an upload
    forks    whether sessions can be forked
    """

    presenter: Callable[..., Presenter]  # of a model and the session's shape, or None
    chunks: int = 1
    parts: Mapping[str, int] = field(default_factory=dict)
    rewind: int = 16
    suffix: str = ".mp4"
    view: Callable[[Any, Mapping[str, Any]], dict[str, Any]] | None = None
    formats: tuple[str, ...] = FORMATS
    takes: Literal["", "surface", "rig"] = ""
    shape: Callable[[Model, bytes, str, str], Shape] | None = None
    example: Callable[[], Shape] | None = None
    forks: bool = True

    def flow(self, format: str, window: int, lag: int, ring: int) -> tuple[int, int, int]:
        """Credit, lag and ring of a stream, in chunks: two windows of time fit in whatever the client asks for."""
        parts = self.parts.get(format, 1)
        return (window if parts == 1 else max(window, 2 * parts)), lag * parts, ring * parts
