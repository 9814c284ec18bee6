"""Rigs: the mesh once, then the joints made so far with every one that comes; the recording is the rigged mesh.

Pictures, for those who show no meshes, are stills of the mesh with its bones.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.media.frames import Frames
from unreel.modalities.rig.assemble import assemble, skeleton_of
from unreel.modalities.rig.joint import Joint
from unreel.modalities.rig.subject import Subject, subject_of
from unreel.modalities.skeleton.document import load_document
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import is_rigged, read_rig
from unreel.modalities.skeleton.mesh import Mesh, Part
from unreel.modalities.skeleton.meshfile import load_mesh
from unreel.modalities.skeleton.raster import orbit
from unreel.modalities.skeleton.render import Style, draw_bones, render
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.surface import decimated
from unreel.streaming.glb import GlbRecording
from unreel.streaming.media.base import FORMATS
from unreel.streaming.present.base import Manner, Picture, Shape
from unreel.streaming.present.example import mannequin
from unreel.streaming.protocol import Media

WIDTH = 5  # index, parent, x, y, z
LEAST = 256  # pixels in height of a still
DRAWN = 20_000  # faces of a still at most


class RigPresenter:
    """See ``Presenter``. Every chunk holds all joints so far, so any one of them is enough for a newcomer."""

    def __init__(self, model: Model, shape: Shape | None) -> None:
        assert shape is not None, "there is no rig session without a mesh"
        self.model, self.shape = model, shape
        self._joints: list[Joint] = []
        self._event: Event | None = None
        self._bare: Frames | None = None

    def take(self, event: Event) -> None:
        joint: Joint = event.payload
        self._event, self._joints = event, [*self._joints[: joint.index], joint]

    def picture(self, format: str) -> Picture | None:
        event = self._event
        if event is None:
            return None
        frames: Any = rows(self._joints) if format == "rows" else self._still()[None]
        return Picture(frames, event.seq, event.chunk.index, key=True if format == "rows" else None)

    def film(self) -> list[Joint] | None:
        return self._joints[-1:] or None

    def record(self, path: Path, fps: float) -> RigRecording:
        return RigRecording(path, self.model, self.shape)

    def stills(self, format: str) -> Sequence[Picture]:
        last = self.picture(format)
        return [] if last is None else [last]

    def size(self, format: str) -> tuple[int, int]:
        height, width = self.model.frame_size
        scale = -(-LEAST // height)
        return (1, WIDTH) if format == "rows" else (height * scale, width * scale)

    def describe(self, media: Media, init: bytes) -> tuple[Media, bytes]:
        if media.format != "rows":
            return media, init
        return media.model_copy(update={"layout": "joints", "bytes": len(self.shape.glb)}), self.shape.glb

    def _still(self) -> Frames:
        """The mesh with the bones so far (H, W, 3)."""
        assert isinstance(self.shape.content, Mesh), "of a rig session"
        mesh, (height, width) = self.shape.content, self.size("")
        camera = orbit(mesh.bounds)
        if self._bare is None:
            drawn = mesh if len(mesh.faces) <= DRAWN else Mesh((Part(*decimated(mesh, DRAWN)),))
            self._bare = render(drawn, camera, Style(height, width, ground=float(mesh.bounds[0, 1])))
        return draw_bones(self._bare, camera, skeleton_of(self._joints))


class RigRecording(GlbRecording):
    """The mesh on the joints so far, its skin made by the model when it is asked for."""

    def __init__(self, path: Path, model: Model, shape: Shape) -> None:
        super().__init__(path)
        self.model, self.shape = model, shape
        self.joints: list[Joint] = []

    def write(self, item: Sequence[Joint]) -> None:
        for joint in item:
            self.joints = [*self.joints[: joint.index], joint]
        self.held = 64 * len(self.joints)

    def rig(self) -> Rig | None:
        assert isinstance(self.shape.content, Mesh), "of a rig session"
        joints, subject = self.joints, next(value for kind, value in self.shape.controls if kind == "mesh")
        return assemble(self.model, self.shape.content, joints, subject) if joints else None


def rows(joints: Sequence[Joint]) -> Floats:
    """(J, 5) float32: index, parent (-1 for the root), and the place in the mesh's own units."""
    table = [(joint.index, joint.parent, *joint.position) for joint in joints]
    return np.asarray(table, np.float32).reshape(-1, WIDTH)


def shape(model: Model, data: bytes, suffix: str, way: str) -> Shape:
    """The mesh of an upload; ``way`` "replace" takes a rigged one without its rig.

    Raises:
        UserError: a mesh that nothing can be done with, or one that is rigged and nobody said what to do about that.
    """
    if suffix == ".glb" and way != "replace":
        document = load_document(data, "the file")
        if is_rigged(document):
            count = len(read_rig(document, clips=False).skeleton)
            raise UserError(f"the mesh is rigged already, with {count} joints: send rig=replace for a new skeleton")
    mesh = load_mesh(data, suffix)
    return shaped(mesh, subject_of(mesh))


def shaped(mesh: Mesh, subject: Subject) -> Shape:
    """A mesh as what a session begins with."""
    about = {"vertices": len(mesh.positions), "faces": len(mesh.faces), "notes": list(mesh.notes)}
    return Shape(mesh, glb_bytes(mesh), (("mesh", subject),), about)


@lru_cache(maxsize=1)
def example() -> Shape:
    """A mannequin, for whoever has no mesh at hand."""
    mesh = mannequin()
    return shaped(mesh, subject_of(mesh))


RIG = Manner(
    RigPresenter, suffix=".glb", formats=("rows", *FORMATS), takes="surface", shape=shape, example=example, forks=False
)
