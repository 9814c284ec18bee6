"""Motions: the rig (or a plain figure) once, then its poses as rows; the recording is the rig with its animation.

Pictures, for those who show no rigs, are drawn by a camera that goes along.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.media.frames import Frames
from unreel.modalities.motion.body import BODY, proportions
from unreel.modalities.motion.figure import figure
from unreel.modalities.motion.film import FollowingCamera, Stage
from unreel.modalities.motion.poses import Poses
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.retarget import retarget
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats, rotate
from unreel.modalities.skeleton.skeleton import Skeleton
from unreel.streaming.backend import Part
from unreel.streaming.glb import GlbRecording
from unreel.streaming.media.base import FORMATS
from unreel.streaming.present.base import Manner, Picture, Shape
from unreel.streaming.protocol import Media

REWIND = 30  # chunks: 4 seconds


class MotionPresenter:
    """See ``Presenter``. What is shown is settled by the session's shape, else by the body of its first poses."""

    def __init__(self, model: Model, shape: Shape | None) -> None:
        self.model = model
        self.rig = shape.content if shape is not None and isinstance(shape.content, Rig) else None
        self.glb = shape.glb if shape is not None else b""
        self._stage = Stage(self.rig)
        self._ahead: list[float] = []
        self._event: Event | None = None
        self._moved: Poses | None = None
        self._camera: FollowingCamera | None = None
        self._drawn: Frames | None = None

    def take(self, event: Event) -> None:
        poses: Poses = event.payload
        if self.rig is None:
            self.rig = self._stage.rig = figure(poses.skeleton)
            self.glb = glb_bytes(self.rig)
        if not self._ahead:
            self._ahead = ahead(poses.skeleton, self.rig.skeleton)
        motion = self._stage.motion(poses)
        self._moved = Poses(motion.skeleton, motion.fps, motion.root, motion.rotations, poses.contacts)
        self._event, self._drawn = event, None

    def picture(self, format: str) -> Picture | None:
        event, moved = self._event, self._moved
        if event is None or moved is None:
            return None
        part = Part(here=here(event.payload))
        if format == "rows":
            return Picture(moved.rows, event.seq, event.chunk.index, part, key=True)
        if self._drawn is None:
            self._drawn = self._pictures(moved)
        return Picture(self._drawn, event.seq, event.chunk.index, part)

    def film(self) -> Floats | None:
        return None if self._moved is None else self._moved.rows

    def record(self, path: Path, fps: float) -> MotionRecording:
        assert self.rig is not None, "there were poses"
        return MotionRecording(path, fps, self.rig)

    def stills(self, format: str) -> Sequence[Picture]:
        last = self.picture(format)
        return [] if last is None else [replace(last, frames=last.frames[-1:])]

    def size(self, format: str) -> tuple[int, int]:
        if format != "rows":
            return self.model.frame_size
        return 1, 0 if self.rig is None else 3 + 4 * len(self.rig.skeleton)

    def describe(self, media: Media, init: bytes) -> tuple[Media, bytes]:
        if media.format != "rows":
            return media, init
        return media.model_copy(update={"layout": "poses", "bytes": len(self.glb), "ahead": self._ahead}), self.glb

    def _pictures(self, moved: Poses) -> Frames:
        if self._camera is None:
            self._camera = FollowingCamera(Stage(), self.model.frame_size)
            self._camera.rig = self.rig
        return self._camera.pictures(moved)


class MotionRecording(GlbRecording):
    """Rows as they came, on the rig; what was rewound stays, as in a film."""

    def __init__(self, path: Path, fps: float, rig: Rig) -> None:
        super().__init__(path)
        self.fps, self.shown = fps, rig
        self.rows: list[Floats] = []

    def write(self, item: Floats) -> None:
        self.rows.append(item)
        self.held += item.nbytes

    def rig(self) -> Rig | None:
        if not self.rows:
            return None
        rows = np.concatenate(list(self.rows))
        motion = Motion(self.shown.skeleton, self.fps, rows[:, :3], rows[:, 3:].reshape(len(rows), -1, 4), "motion")
        return replace(self.shown, clips=(motion.clip(),))


def ahead(body: Skeleton, shown: Skeleton) -> list[float]:
    """Where a metre ahead (+Z) of the body leads on the skeleton that is shown: x and z.

    Raises:
        UserError: no motion of the body can be carried there.
    """
    root = body.translations[:1] + np.asarray([[0.0, 0, 0], [0, 0, 1]], np.float32)
    steps = Motion(body, 30.0, root, np.stack([body.rotations] * 2))
    steps = steps if shown is body else retarget(steps, shown)
    x, _, z = (float(number) for number in steps.root[1] - steps.root[0])
    return [round(x, 5), round(z, 5)]


def here(poses: Poses) -> tuple[float, float, float]:
    """Where the body is after its poses, as paths are told: x, z in metres, heading in degrees (0 is +Z, 90 is +X)."""
    x, _, z = (float(number) for number in poses.root[-1])
    way = rotate(poses.rotations[-1, 0], np.asarray([0.0, 0, 1]))
    return round(x, 4), round(z, 4), round(float(np.degrees(np.arctan2(way[0], way[2]))), 2)


def shape(model: Model, data: bytes, suffix: str, way: str) -> Shape:
    """The rig of an upload, if it is a body's.

    Raises:
        UserError: no rig, or one of something else than a body.
    """
    if suffix != ".glb":
        raise UserError(f"{model.name} moves rigs: send a rigged .glb, got {suffix}")
    rig: Any = read_rig(data, clips=False)
    told = proportions(rig.skeleton)
    ahead(BODY, rig.skeleton)  # says what is wrong at once
    about = {"vertices": len(rig.mesh.positions), "joints": len(rig.skeleton), "notes": list(rig.notes)}
    return Shape(rig, glb_bytes(rig), (("body", told.tolist()),), about)


MOTION = Manner(MotionPresenter, rewind=REWIND, suffix=".glb", formats=("rows", *FORMATS), takes="rig", shape=shape)
