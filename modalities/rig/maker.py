"""From the events of a session to a file: a rigged GLB, its skeleton alone, or a film of it."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.media.export import WRITERS, open_exporter
from unreel.modalities.media.writer import check_writable
from unreel.modalities.rig.assemble import assemble
from unreel.modalities.rig.joint import Joint
from unreel.modalities.rig.preview import turntable
from unreel.modalities.rig.subject import Subject
from unreel.modalities.skeleton.bvh import write_bvh
from unreel.modalities.skeleton.glb import write_glb
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.skeleton import Skeleton

FILMS = tuple(suffix for writer in WRITERS for suffix in writer.suffixes)
FILES = (".glb", ".bvh", ".npz", *FILMS)


class RigMaker:
    """Collects joints; when all are there (or the user has had enough), makes the rig and writes it.

    A rig that is ``kept`` is written as it is. ``seconds`` is the time spent on skin and file.
    """

    def __init__(
        self,
        path: Path,
        model: Model,
        fps: float,
        mesh: Mesh | None = None,
        subject: Subject | None = None,
        kept: Rig | None = None,
    ) -> None:
        if path.suffix.lower() not in FILES:
            raise UserError(f"cannot write {path}: the file name must end in one of {', '.join(FILES)}")
        self.path, self.model, self.fps = path, model, fps
        self.mesh, self.subject, self.rig = mesh, subject, kept
        self.joints: list[Joint] = []
        self.seconds = 0.0
        self.part = path.with_name(path.name + ".part")
        check_writable(path, self.part)

    @property
    def whole(self) -> bool:
        """Whether there is nothing to be made."""
        return self.rig is not None

    @property
    def made(self) -> int:
        """Joints so far."""
        return len(self.joints) if self.rig is None else len(self.rig.skeleton)

    def add(self, event: Event) -> None:
        self.joints.append(event.payload)

    def __enter__(self) -> RigMaker:
        return self

    def __exit__(self, kind: type[BaseException] | None, *fault: Any) -> None:
        self.part.unlink(missing_ok=True)
        if kind is not None or not self.made:
            return
        began = time.perf_counter()
        if self.rig is None:
            assert self.mesh is not None, "what is not kept is made of a mesh"
            self.rig = assemble(self.model, self.mesh, self.joints, self.subject)
        write(self.rig, self.path, self.fps)
        self.seconds = time.perf_counter() - began

    def told(self) -> str:
        """A line about what was written."""
        assert self.rig is not None, "told once it is written"
        mesh = self.rig.mesh
        return f"{self.path}: {self.made} joints, {len(mesh.positions):,} vertices, {len(mesh.faces):,} faces"


def write(rig: Rig, path: str | os.PathLike[str], fps: float = 24.0) -> None:
    """A rig as .glb; its skeleton at rest as .bvh or .npz; a film of it as .mp4 and the like."""
    suffix = Path(path).suffix.lower()
    if suffix == ".glb":
        write_glb(rig, path)
    elif suffix == ".bvh":
        write_bvh(resting(rig.skeleton, fps), path)
    elif suffix == ".npz":
        resting(rig.skeleton, fps).save(path)
    else:
        with open_exporter(path, fps, scale=1) as film:
            for picture in turntable(rig, fps):
                film.write(picture[None])


def resting(skeleton: Skeleton, fps: float) -> Motion:
    """A motion of one pose: the rest."""
    return Motion(skeleton, fps, np.asarray(skeleton.translations[:1]), np.asarray(skeleton.rotations[None]), "rest")
