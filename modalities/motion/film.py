"""From the events of a motion session to a file.

.glb          the rig (or a plain figure) with the motion as its one animation
.bvh, .npz    the motion alone, on the rig's skeleton (or the body's)
.mp4, ...     pictures of the rig, from a camera that goes along
"""

from __future__ import annotations

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from unreel.engine.errors import UserError
from unreel.engine.types import Event
from unreel.modalities.media.export import WRITERS, open_exporter
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.writer import check_writable
from unreel.modalities.motion.contact import FootLock
from unreel.modalities.motion.features import FPS
from unreel.modalities.motion.figure import figure
from unreel.modalities.motion.poses import Poses, whole
from unreel.modalities.skeleton.bvh import write_bvh
from unreel.modalities.skeleton.glb import write_glb
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.raster import orbit
from unreel.modalities.skeleton.render import Style, render
from unreel.modalities.skeleton.retarget import Retargeter
from unreel.modalities.skeleton.rig import Rig

FILMS = tuple(suffix for writer in WRITERS for suffix in writer.suffixes)
FILES = (".glb", ".bvh", ".npz", *FILMS)
LONGEST = 10**9  # poses
FOLLOW = 0.15  # of the way that the camera is behind, made up for from picture to picture


class Stage:
    """Poses as they come, cleaned where that is wanted, on the rig that is to show them."""

    def __init__(self, rig: Rig | None = None, contacts: bool = False) -> None:
        self.rig, self.lock = rig, FootLock() if contacts else None
        self.carrier: Retargeter | None = None  # of the body that the last poses were of

    def motion(self, poses: Poses) -> Motion:
        """The motion of some poses on the rig, or on the body they are of."""
        if self.lock is not None:
            poses = self.lock.clean(poses)
        if self.rig is None or self.rig.skeleton is poses.skeleton:
            return poses.motion
        if self.carrier is None or self.carrier.source is not poses.skeleton:
            self.carrier = Retargeter.of(poses.skeleton, self.rig.skeleton)
        return self.carrier.apply(poses.motion)


class MotionFile:
    """Collects a motion and writes it when its ``with`` ends, unless that is by an error. ``frames`` counts poses."""

    scale, size = None, None

    def __init__(self, path: Path, fps: float, frames: int, stage: Stage, name: str) -> None:
        self.path, self.fps, self.stage, self.name = path, fps, stage, name
        self.limit, self.frames, self.seconds = frames, 0, 0.0
        self.part = path.with_name(path.name + ".part")
        self.parts: list[Poses] = []
        check_writable(path, self.part)

    def add(self, event: Event) -> None:
        """Take one event; there are no pictures."""
        began = time.perf_counter()
        motion = self.stage.motion(event.payload)
        some = Poses(motion.skeleton, motion.fps, motion.root, motion.rotations, np.zeros((motion.frames, 0)))
        self.parts.append(some)
        self.frames = min(self.limit, self.frames + motion.frames)
        self.seconds += time.perf_counter() - began

    def __enter__(self) -> MotionFile:
        return self

    def __exit__(self, kind: type[BaseException] | None, *fault: Any) -> None:
        began = time.perf_counter()
        if self.parts and (kind is None or issubclass(kind, (KeyboardInterrupt, GeneratorExit))):
            motion = whole(self.parts).part(0, self.frames)
            motion = replace(motion, name=self.name)
            write(motion, self.part, self.path, self.stage.rig)
            os.replace(self.part, self.path)
        else:
            self.part.unlink(missing_ok=True)
        self.seconds += time.perf_counter() - began


def write(motion: Motion, part: Path, path: Path, rig: Rig | None) -> None:
    """A motion into ``part``, as the suffix of ``path`` says."""
    suffix = path.suffix.lower()
    if suffix == ".bvh":
        write_bvh(motion, part)
    elif suffix == ".npz":
        motion.save(part)
    else:
        write_glb(replace(rig or figure(motion.skeleton), clips=(motion.clip(),)), part)


class MotionFilm:
    """Pictures of a motion as it comes, through the writer of the file's suffix."""

    def __init__(self, path: Path, fps: float, frames: int, stage: Stage, size: tuple[int, int]) -> None:
        self.writer = open_exporter(path, fps, scale=1)
        self.camera = FollowingCamera(stage, size)
        self.path, self.fps, self.scale, self.size = path, self.writer.fps, 1, size
        self.limit, self.drawing = frames, 0.0

    @property
    def frames(self) -> int:
        return self.writer.frames

    @property
    def seconds(self) -> float:
        return self.writer.seconds + self.drawing

    def add(self, event: Event) -> Frames | None:
        """Take one event; its pictures."""
        began = time.perf_counter()
        pictures = self.camera.pictures(event.payload)[: self.limit - self.writer.frames]
        self.drawing += time.perf_counter() - began
        self.writer.write(pictures)
        return pictures

    def __enter__(self) -> MotionFilm:
        return self

    def __exit__(self, kind: type[BaseException] | None, *fault: Any) -> None:
        self.writer.close(keep=kind is None or issubclass(kind, (KeyboardInterrupt, GeneratorExit)))


class FollowingCamera:
    """Draws poses, chunk after chunk, and goes along with the root; ``size`` is height and width."""

    def __init__(self, stage: Stage, size: tuple[int, int]) -> None:
        self.stage, self.style = stage, Style(*size)
        self.rig = stage.rig
        self.middle: np.ndarray | None = None

    def pictures(self, poses: Poses) -> Frames:
        """(T, H, W, 3) of these poses."""
        motion = self.stage.motion(poses)
        if self.rig is None:
            self.rig = figure(motion.skeleton)
        frames = []
        for root, pose in zip(motion.root, motion.globals(), strict=True):
            aim = root * (1.0, 0.0, 1.0)
            self.middle = aim if self.middle is None else self.middle + FOLLOW * (aim - self.middle)
            rest = self.rig.mesh.bounds
            around = self.middle + rest.mean(0) * (0, 1, 0)
            reach = np.minimum(rest[1] - rest[0], rest[1, 1] - rest[0, 1]) * 0.6
            frames.append(render(self.rig.posed(pose), orbit(np.stack([around - reach, around + reach])), self.style))
        return np.stack(frames)


def open_motion(
    path: Path,
    fps: float = FPS,
    frames: int | None = None,
    rig: Rig | None = None,
    contacts: bool = False,
    size: tuple[int, int] = (384, 384),
    name: str = "motion",
) -> MotionFile | MotionFilm:
    """What writes ``path``, at most ``frames`` poses; ``rig`` None is a plain figure, or for .bvh and .npz the body.

    Raises:
        UserError: at once, for a place, a rate or a kind of file that cannot be written.
    """
    suffix, stage, limit = path.suffix.lower(), Stage(rig, contacts), LONGEST if frames is None else frames
    if fps != FPS:
        raise UserError(f"motions are made at {FPS:g} frames per second: leave --fps out, got {fps:g}")
    if suffix in FILMS:
        return MotionFilm(path, fps, limit, stage, size)
    if suffix not in FILES:
        raise UserError(f"cannot write {path}: the file name must end in one of {', '.join(FILES)}")
    return MotionFile(path, fps, limit, stage, name)
