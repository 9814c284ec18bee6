"""Panoramas: faces as they finish for those who can show a cube, whole equirectangular windows for everybody else.

``jpeg`` and ``rgb`` carry every event as it is: a face, or the strip that replaces part of one. ``h264``, ``fmp4``
and the recording get a window once its six faces will not change any more.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import numpy as np

from unreel.engine.errors import UserError
from unreel.engine.types import Event
from unreel.modalities.media.export import open_exporter
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.spherical import SphericalInfo, inject
from unreel.modalities.media.writer import FrameWriter
from unreel.modalities.panorama.camera import load_track
from unreel.modalities.panorama.cube import FACES
from unreel.modalities.panorama.film import lay_out
from unreel.modalities.panorama.inputs import FINER, view_of
from unreel.streaming.backend import Part
from unreel.streaming.present.base import Manner, Picture, Shape
from unreel.streaming.protocol import Media

SEAMS = 12  # each mends the rim of the face that was made first
BY_FACE = ("jpeg", "rgb")
HELD = 300_000_000  # bytes of a view in memory


class PanoramaPresenter:
    """See ``Presenter``. Keeps the faces of the window under way, and those of the last whole one for stills."""

    def __init__(self, model: Any, shape: Shape | None = None) -> None:
        self.height, self.width = model.frame_size
        self.side = self.width // 4
        self._start = self._index = -1
        self._faces: dict[str, Frames] = {}  # of the window under way, (T, S, S, 3), strips patched in
        self._final: set[str] = set()
        self._seen: dict[str, Picture] = {}  # the newest picture of every face, of whatever window
        self._event: Event | None = None
        self._camera: tuple[float, ...] | None = None
        self._key = self._whole = False
        self._window: Frames | None = None

    def take(self, event: Event) -> None:
        patch, chunk, strip = event.payload, event.chunk, event.replaces is not None
        self._event, self._window, before = event, None, self._whole
        again = chunk.start != self._start or chunk.index <= self._index or patch.face in self._faces
        self._key = again and not strip
        if self._key:
            self._start, self._faces, self._final, before = chunk.start, {}, set(), False
        if not strip:
            self._faces[patch.face], self._camera = patch.frames.copy(), patch.camera
            self._index = chunk.index
        elif patch.face in self._faces:
            patch.paint(self._faces[patch.face])
        if patch.face in self._faces:
            part = Part(chunk.start, patch.face, camera=self._camera)
            self._seen[patch.face] = Picture(self._faces[patch.face], event.seq, chunk.index, part, key=True)
        if event.final:
            self._final.add(patch.face)
        self._whole = len(self._final & set(self._faces)) == len(FACES)
        if self._whole and not before:
            self._window = equirectangular(self._faces, self.height)

    def picture(self, format: str) -> Picture | None:
        event = self._event
        if event is None:
            return None
        patch, chunk = event.payload, event.chunk
        if format not in BY_FACE:
            part = Part(chunk.start, final=True, camera=self._camera)
            return None if self._window is None else Picture(self._window, event.seq, chunk.index, part)
        rect = None if event.replaces is None else (patch.top, patch.left, *patch.frames.shape[1:3])
        part = Part(chunk.start, patch.face, event.replaces, rect, event.final, patch.camera)
        return Picture(patch.frames, event.seq, chunk.index, part, self._key, self._whole)

    def film(self) -> Frames | None:
        return self._window

    def record(self, path: Path, fps: float) -> FrameWriter:
        """A film that players know to be a panorama, while it grows and afterwards."""
        return open_exporter(path, fps, 1, SphericalInfo())

    def stills(self, format: str) -> Sequence[Picture]:
        seen = sorted(self._seen.values(), key=lambda one: one.seq)
        if format in BY_FACE:
            parts = [replace(one.part, start=self._start, final=True) for one in seen]  # one picture, whatever its age
            last = [replace(one, frames=one.frames[-1:], part=part) for one, part in zip(seen, parts, strict=True)]
            return [replace(one, key=number == 0) for number, one in enumerate(last)]
        if len(seen) < len(FACES):
            return []
        faces = {face: one.frames[-1:] for face, one in self._seen.items()}
        return [Picture(equirectangular(faces, self.height), seen[-1].seq, seen[-1].chunk, Part(self._start))]

    def size(self, format: str) -> tuple[int, int]:
        return (self.side, self.side) if format in BY_FACE else (self.height, self.width)

    def describe(self, media: Media, init: bytes) -> tuple[Media, bytes]:
        if media.format in BY_FACE:
            return media.model_copy(update={"layout": "cube"}), init
        init = inject(init, SphericalInfo()) if init else init
        return media.model_copy(update={"layout": "equirectangular", "bytes": len(init)}), init


def equirectangular(faces: dict[str, Frames], height: int) -> Frames:
    """Six faces, uint8 (T, S, S, 3) each, as frames (T, height, 2 height, 3)."""
    return lay_out(np.stack([faces[face] for face in FACES]), "equirect", height)


def view(model: Any, inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The view of an upload, at the model's own rate: live, a clip takes as long as it took.

    Raises:
        UserError: files and angles that cannot be used.
    """
    size = int(model.card.plan["size"])
    if "video" in inputs:
        _check_memory(inputs, size)
    value, fps = view_of(inputs, size)
    assert value is not None, "a file is there"
    frames, cameras = value["frames"], value["cameras"]
    if fps is not None and len(frames) > 1:
        count = max(1, round(len(frames) * model.fps / fps))
        picked = np.minimum(np.arange(count) * fps / model.fps, len(frames) - 1).astype(int)
        frames = frames[picked]
        cameras = cameras[picked] if len(cameras) > 1 else cameras
    return {"frames": np.ascontiguousarray(frames), "cameras": cameras}


def _check_memory(inputs: Mapping[str, Any], size: int) -> None:
    """UserError for a clip whose frames, as large as ``view_of`` keeps them, are too many to hold."""
    fov = float(inputs.get("fov", 90.0))
    if "camera" in inputs:
        fov = float(load_track(inputs["camera"], fov=inputs.get("fov"))[:, 3].max())
    with av.open(inputs["video"]) as container:
        stream = container.streams.video[0]
        count = sum(1 for _ in container.demux(stream))
        across = max(16.0, FINER * size * math.tan(math.radians(min(max(fov, 0.0), 150.0)) / 2))
        share = min(1.0, across / max(1, min(stream.width, stream.height)))
        needed = count * stream.width * stream.height * share**2 * 3
    if needed > HELD:
        raise UserError(
            f"the clip is too long for a field of view of {fov:g} degrees: {count} frames; send a shorter one"
        )


PANORAMA = Manner(
    PanoramaPresenter, len(FACES), dict.fromkeys(BY_FACE, len(FACES) + SEAMS), rewind=5 * len(FACES), view=view
)
