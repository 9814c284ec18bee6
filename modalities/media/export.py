"""From events or frames to a file, chosen by the file's suffix."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.images import GifWriter, PngWriter, WebpWriter
from unreel.modalities.media.mp4 import Mp4Writer
from unreel.modalities.media.projection import SphericalInfo
from unreel.modalities.media.webm import WebmWriter
from unreel.modalities.media.writer import FrameWriter

WRITERS: tuple[type[FrameWriter], ...] = (Mp4Writer, WebmWriter, GifWriter, WebpWriter, PngWriter)


@dataclass(frozen=True, slots=True)
class Exported:
    """What ``export`` wrote: frames, and the seconds spent on conversion and encoding alone."""

    path: Path
    frames: int
    seconds: float


def open_exporter(
    path: str | os.PathLike[str], fps: float, scale: int | None = None, spherical: SphericalInfo | None = None
) -> FrameWriter:
    """A writer for ``path``: .mp4 (.m4v, .mov), .webm, .gif, .webp or .png, the last for one file per frame.

    ``scale`` enlarges by a whole factor; None enlarges small frames to 384 pixels or more in height (not PNG).
    ``spherical`` is written into MP4 and WebM; the other formats have no place for it.
    Raises UserError at once for a suffix it does not know and a place it cannot write to.
    """
    suffix = Path(path).suffix.lower()
    for writer in WRITERS:
        if suffix in writer.suffixes:
            if spherical is not None and issubclass(writer, Mp4Writer):
                return writer(path, fps, scale, spherical=spherical)
            return writer(path, fps, scale)
    known = ", ".join(name for writer in WRITERS for name in writer.suffixes)
    raise UserError(f"cannot write {path}: the file name must end in one of {known}")


def export(
    source: Frames | Iterable[Any], path: str | os.PathLike[str], fps: float, scale: int | None = None
) -> Exported:
    """Write frames to ``path`` as they come and return what was written.

    ``source`` is an array (time, height, width, 3), an iterable of such arrays, or a session's events; events that
    are not final are left out. Ctrl-C ends the film early and is raised again after the file is whole.
    """
    with open_exporter(path, fps, scale) as writer:
        for frames_THWC in frames_of(source):
            writer.write(frames_THWC)
        if not writer.frames:
            raise UserError(f"cannot write {path}: there was no frame to write")
    return Exported(writer.path, writer.frames, writer.seconds)


def frames_of(source: Frames | Iterable[Any]) -> Iterator[Frames]:
    """The frames of an array, of arrays, or of the final ones among events."""
    if isinstance(source, np.ndarray):
        yield source
        return
    for item in source:
        if isinstance(item, np.ndarray):
            yield item
        elif item.final:
            yield item.payload
