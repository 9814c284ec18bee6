"""A panorama session as a file: events of faces in, frames of the whole sphere out, window by window.

    equirect   one picture twice as wide as high           .mp4 .webm (spherical metadata versions 1 and 2), .gif ...
    cubemap    3 x 2 faces, Google's cbmp                  the same, version 2 alone: version 1 knows no cubemaps
    eac        equi-angular cubemap, 3 x 2                 the same without metadata: neither version has a name for it
    faces      NAME-F-00000.png, NAME-R-00000.png, ...     .png only, each face as it was made

``open_film`` for a file, ``Windows`` and ``lay_out`` for the frames alone.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType

import numpy as np
import torch

from unreel.engine.errors import UserError
from unreel.engine.types import Event
from unreel.modalities.media.export import open_exporter
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.images import PngWriter
from unreel.modalities.media.spherical import SphericalInfo
from unreel.modalities.media.writer import FrameWriter
from unreel.modalities.panorama.cube import FACES
from unreel.modalities.panorama.cubemap import erp_from_faces
from unreel.modalities.panorama.layouts import EAC_BORDER, eac_from_faces, grid_from_faces
from unreel.modalities.panorama.patch import FacePatch
from unreel.modalities.panorama.sampler import resize

LAYOUTS = ("equirect", "cubemap", "eac", "faces")
PROJECTIONS = {"equirect": "equirectangular", "cubemap": "cubemap"}  # as spherical metadata calls them

Faces = Frames  # (6, T, S, S, 3) in the order FRBLUD


@dataclass(slots=True)
class _Window:
    faces: dict[str, Frames] = field(default_factory=dict)  # (T, S, S, 3)
    final: set[str] = field(default_factory=set)

    def add(self, patch: FacePatch, final: bool) -> None:
        if patch.face in self.faces:
            patch.paint(self.faces[patch.face])
        elif patch.is_whole(patch.height):
            self.faces[patch.face] = patch.frames.copy()
        else:
            raise ValueError(f"a strip of face {patch.face} came before the face")
        if final:
            self.final.add(patch.face)

    @property
    def whole(self) -> bool:
        return len(self.final) == len(FACES)


class Windows:
    """Gathers faces and gives out windows: those whose six faces are final, in the order of time."""

    def __init__(self) -> None:
        self._open: dict[int, _Window] = {}
        self._done = -1  # start of the last window given out

    def add(self, event: Event) -> list[Faces]:
        """The windows (6, T, S, S, 3) that are whole with this event; most often none, or one.

        Raises ValueError for an event that belongs to a window that was given out, and a strip without its face.
        """
        start = event.chunk.start
        if start <= self._done:
            raise ValueError(f"face {event.payload.face} of frame {start} came after its window was final")
        self._open.setdefault(start, _Window()).add(event.payload, event.final)
        ready: list[Faces] = []
        while self._open and self._open[first := min(self._open)].whole:
            window = self._open.pop(first)
            self._done = first
            ready.append(np.stack([window.faces[face] for face in FACES]))
        return ready


def lay_out(faces_6TSSC: Faces, layout: str = "equirect", height: int | None = None) -> Frames:
    """The frames (T, H, W, 3) of a window's faces; ``height`` None keeps the resolution of the faces.

    Frame by frame, so that 4K takes the memory of one frame.
    """
    size = faces_6TSSC.shape[2]
    natural = {"equirect": 2 * size, "cubemap": 2 * size, "eac": 2 * (size + 2 * EAC_BORDER)}
    frames: list[Frames] = []
    for frame_6SSC in faces_6TSSC.swapaxes(0, 1):
        faces_16CSS = torch.from_numpy(np.ascontiguousarray(frame_6SSC)).movedim(-1, -3)[None]
        picture_CHW = _picture(faces_16CSS, layout, height or natural[layout])[0]
        frames.append(picture_CHW.movedim(0, -1).contiguous().numpy())
    return np.stack(frames)


def _picture(faces_T6CSS: torch.Tensor, layout: str, height: int) -> torch.Tensor:
    """uint8 faces to uint8 pictures (T, C, height, width)."""
    if layout == "cubemap" and height == 2 * faces_T6CSS.shape[-1]:
        return grid_from_faces(faces_T6CSS, "cbmp")
    faces_T6CSS = faces_T6CSS.float()
    if layout == "cubemap":
        sized = resize(faces_T6CSS.flatten(0, 1), height // 2, height // 2).unflatten(0, (-1, 6))
        picture = grid_from_faces(sized, "cbmp")
    elif layout == "eac":
        picture = eac_from_faces(faces_T6CSS, height)
    else:
        picture = erp_from_faces(faces_T6CSS, height)
    return picture.round().clamp(0, 255).to(torch.uint8)


class PanoramaFilm:
    """A file fed with the events of a session; ends as every ``FrameWriter`` does (see media/writer.py).

    At most ``limit`` frames are written: the last window is cut. ``frames``, ``size`` (height, width), ``path``,
    ``fps`` and ``scale`` are a FrameWriter's; ``seconds`` counts laying out, converting and encoding. A window whose
    faces have not all come is no part of the film: one that is cut short consists of whole windows.
    """

    def __init__(
        self, path: Path, writers: dict[str, FrameWriter], layout: str, height: int | None, limit: int | None
    ) -> None:
        self.path, self.layout, self.height, self.limit = path, layout, height, limit
        self._writers = writers  # under "", or one under the name of each face
        self._windows = Windows()
        self._laying_out = 0.0

    def add(self, event: Event) -> Frames | None:
        """Take one event. The frames (T, H, W, 3) that it added to the film, None if it added none.

        Of the layout faces they are returned as equirectangular pictures.
        """
        if not isinstance(event.payload, FacePatch):
            raise TypeError(f"a panorama film is made of faces, got {type(event.payload).__name__}")
        parts = [part for faces in self._windows.add(event) if (part := self._write(faces)) is not None]
        return np.concatenate(parts) if parts else None

    def _write(self, faces_6TSSC: Faces) -> Frames | None:
        faces_6TSSC = faces_6TSSC[:, : None if self.limit is None else self.limit - self.frames]
        if not faces_6TSSC.shape[1]:
            return None
        began = time.perf_counter()
        frames_THWC = lay_out(faces_6TSSC, "equirect" if self.layout == "faces" else self.layout, self.height)
        self._laying_out += time.perf_counter() - began
        for name, writer in self._writers.items():
            writer.write(faces_6TSSC[FACES.index(name)] if name else frames_THWC)
        return frames_THWC

    @property
    def _writer(self) -> FrameWriter:
        return next(reversed(self._writers.values()))  # the last face's: it has what all have

    @property
    def frames(self) -> int:
        return self._writer.frames

    @property
    def size(self) -> tuple[int, int] | None:
        return self._writer.size

    @property
    def fps(self) -> float:
        return self._writer.fps

    @property
    def scale(self) -> int | None:
        return self._writer.scale

    @property
    def part(self) -> Path:
        return self._writer.part

    @property
    def seconds(self) -> float:
        return self._laying_out + sum(writer.seconds for writer in self._writers.values())

    def close(self, *, keep: bool = True) -> None:
        """Finish; without ``keep`` the file stays under ``part``. Windows that are not whole are left out."""
        for writer in self._writers.values():
            writer.close(keep=keep)

    def __enter__(self) -> PanoramaFilm:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for writer in self._writers.values():
            writer.__exit__(kind, error, trace)


def open_film(
    path: str | os.PathLike[str],
    fps: float,
    layout: str | None = None,
    height: int | None = None,
    frames: int | None = None,
) -> PanoramaFilm:
    """A film for ``path``: .mp4 (.m4v, .mov), .webm, .gif, .webp or .png (a sequence).

    ``layout`` is one of LAYOUTS, None faces for .png and equirect for all else; ``height`` that of the picture, None
    for the resolution of the faces; ``frames`` the most that are written. Raises UserError at once for a wish that
    cannot be met and a place that cannot be written.
    """
    path = Path(path)
    sequence = path.suffix.lower() == ".png"
    layout = layout or ("faces" if sequence else "equirect")
    if layout not in LAYOUTS:
        raise UserError(f"layout must be one of {', '.join(LAYOUTS)}, got {layout!r}")
    if layout == "faces" and not sequence:
        raise UserError(f"faces are written one by one as .png, got {path.name}; name a .png or take layout cubemap")
    if height is not None and (not isinstance(height, int) or height < 16 or height % 2 or layout == "faces"):
        wrong = "faces are written as they are" if layout == "faces" else f"got {height!r}"
        raise UserError(f"height must be an even number of pixels, 16 or more, of a picture: {wrong}")
    if frames is not None and frames < 1:
        raise UserError(f"frames must be 1 or more, got {frames}")
    writers: dict[str, FrameWriter]
    if layout == "faces":
        writers = {face: PngWriter(path.with_name(f"{path.stem}-{face}.png"), fps) for face in FACES}
    else:
        projection = PROJECTIONS.get(layout)
        writers = {"": open_exporter(path, fps, 1, SphericalInfo(projection) if projection else None)}
    return PanoramaFilm(path, writers, layout, height, frames)


def collector(layout: str = "equirect", height: int | None = None) -> Callable[[Event], Frames | None]:
    """The frames of a film without a file: call it with every event."""
    windows = Windows()

    def collect(event: Event) -> Frames | None:
        parts = [lay_out(faces, layout, height) for faces in windows.add(event)]
        return np.concatenate(parts) if parts else None

    return collect
