"""A motion: where the root is and how every joint turns, frame by frame. What motion capture gives and models make."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.clips import Clip
from unreel.modalities.skeleton.kinematics import forward, local_turns, world_turns
from unreel.modalities.skeleton.names import partners
from unreel.modalities.skeleton.rotations import Floats, conjugate, continuous, multiply, rotate, slerp, unit
from unreel.modalities.skeleton.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Motion:
    """``root`` (T, 3): the root joint in the world, metres; ``rotations`` (T, J, 4): local, xyzw. Bones keep length."""

    skeleton: Skeleton
    fps: float
    root: Floats
    rotations: Floats
    name: str = ""
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        frames, joints = len(self.root), len(self.skeleton)
        if frames == 0 or self.root.shape != (frames, 3) or self.rotations.shape != (frames, joints, 4):
            raise UserError(
                f"a motion of {joints} joints has root positions (T, 3) and rotations (T, {joints}, 4), T above 0; "
                f"got {self.root.shape} and {self.rotations.shape}"
            )
        if not 0 < self.fps <= 1000:
            raise UserError(f"fps of a motion is above 0 and at most 1000, got {self.fps}")
        if not (np.isfinite(self.root).all() and np.isfinite(self.rotations).all()):
            raise UserError("a motion is finite; got NaN or infinity")
        object.__setattr__(self, "root", np.asarray(self.root, np.float32))
        object.__setattr__(self, "rotations", continuous(unit(np.asarray(self.rotations, np.float32))))

    @property
    def frames(self) -> int:
        """How many poses there are."""
        return len(self.root)

    @property
    def seconds(self) -> float:
        """From the first pose to the last."""
        return (self.frames - 1) / self.fps

    def translations(self) -> Floats:
        """Local translations (T, J, 3): at rest but for the root."""
        moved = np.tile(self.skeleton.translations, (self.frames, 1, 1))
        moved[:, 0] = self.root
        return moved

    def globals(self) -> Floats:
        """World matrices (T, J, 4, 4)."""
        pose: Floats = forward(self.skeleton.parents, self.translations(), self.rotations)
        return pose

    def positions(self) -> Floats:
        """World positions (T, J, 3) in metres."""
        return self.globals()[..., :3, 3]

    def turns(self) -> Floats:
        """World rotations (T, J, 4)."""
        return world_turns(self.skeleton.parents, self.rotations)

    def clip(self, name: str | None = None) -> Clip:
        """The same as a clip, for a GLB."""
        return Clip(name or self.name or "motion", self.fps, self.translations(), self.rotations)

    def resampled(self, fps: float) -> Motion:
        """The motion at another rate, over the same time: positions straight, rotations the shorter way round."""
        if not 0 < fps <= 1000:
            raise UserError(f"fps of a motion is above 0 and at most 1000, got {fps}")
        at = np.minimum(np.arange(int(self.seconds * fps + 1e-6) + 1) * (self.fps / fps), self.frames - 1)
        low = np.minimum(at.astype(np.int64), max(self.frames - 2, 0))
        high = np.minimum(low + 1, self.frames - 1)
        part = at - low
        root = self.root[low] + part[:, None] * (self.root[high] - self.root[low])
        turned = slerp(self.rotations[low], self.rotations[high], part[:, None])
        return replace(self, fps=float(fps), root=root, rotations=turned)

    def part(self, start: int, stop: int | None = None) -> Motion:
        """Frames ``start`` to ``stop`` (not included), as slices count them; UserError when nothing is left."""
        return replace(self, root=self.root[start:stop], rotations=self.rotations[start:stop])

    def placed(self, yaw: float, offset: Floats) -> Motion:
        """The motion turned by ``yaw`` radians around the vertical axis of the world, then moved by ``offset`` (3,)."""
        turn = np.asarray([0.0, np.sin(yaw / 2), 0.0, np.cos(yaw / 2)])
        rotations = self.rotations.copy()
        rotations[:, 0] = multiply(np.broadcast_to(turn, (self.frames, 4)), rotations[:, 0])
        return replace(self, root=rotate(turn, self.root) + offset, rotations=rotations)

    def mirrored(self) -> Motion:
        """Left and right exchanged, by joint names and the world's plane x = 0. UserError when no names come in pairs.

        Every joint turns against its rest pose as its partner does, seen in a mirror; rest poses should be symmetric.
        """
        pairs = partners(self.skeleton)
        if np.array_equal(pairs, np.arange(len(pairs))):
            raise UserError("no joint names come in left and right pairs, so this motion cannot be mirrored")
        rest = self.skeleton.turns
        away = multiply(self.turns(), np.broadcast_to(conjugate(rest), (self.frames, len(rest), 4)))[:, pairs]
        turns = multiply(away * np.asarray([1, -1, -1, 1]), np.broadcast_to(rest, away.shape))
        root = self.root * np.asarray([-1, 1, 1], np.float32)
        return replace(self, root=root, rotations=local_turns(self.skeleton.parents, turns))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write an NPZ: names, parents, rest pose, fps, root, rotations, name. No pickle inside."""
        skeleton = self.skeleton
        try:
            with open(path, "wb") as file:
                np.savez_compressed(
                    file,
                    names=np.asarray(skeleton.names, np.str_),
                    parents=skeleton.parents,
                    rest_translations=skeleton.translations,
                    rest_rotations=skeleton.rotations,
                    fps=np.float64(self.fps),
                    root=self.root,
                    rotations=self.rotations,
                    name=np.str_(self.name),
                )
        except OSError as error:
            raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from None

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Motion:
        """Read what `save` wrote. Raises UserError for anything else."""
        try:
            with np.load(path, allow_pickle=False) as data:
                names = tuple(str(name) for name in data["names"])
                skeleton = Skeleton(names, data["parents"], data["rest_translations"], data["rest_rotations"])
                return cls(skeleton, float(data["fps"]), data["root"], data["rotations"], str(data["name"]))
        except FileNotFoundError:
            raise UserError(f"there is no file {path}; give an .npz that unreel wrote") from None
        except (OSError, KeyError, ValueError, EOFError) as error:
            if isinstance(error, UserError):
                raise
            raise UserError(f"{Path(path).name} is no motion ({error}); give an .npz that unreel wrote") from None


def from_clip(skeleton: Skeleton, clip: Clip) -> Motion:
    """The motion of a clip. Only the root keeps its translation; a note says how far off that leaves joints."""
    motion = Motion(skeleton, clip.fps, clip.translations[:, 0], clip.rotations, clip.name)
    apart = np.linalg.norm(motion.positions() - clip.globals(skeleton)[..., :3, 3], axis=-1)
    if apart.max() > 0.01 * max(skeleton.size, 1e-9):
        joint = skeleton.names[int(apart.max(0).argmax())]
        note = (
            f"{clip.name}: bones change length there; without that joints are up to {apart.max():.3g} m off ({joint})"
        )
        motion = replace(motion, notes=(note,))
    return motion


def joined(motions: Sequence[Motion], *, follow: bool = True) -> Motion:
    """Motions of one skeleton and rate one after the other. With ``follow`` each starts where the last one ended.

    Then it is turned around the vertical and moved over the ground so that its first root pose meets the last root pose
    before; that one pose is not doubled. Without it they are put together as they are. There is no blending here.
    """
    if not motions:
        raise UserError("give at least one motion to join")
    whole = motions[0]
    for motion in motions[1:]:
        if motion.skeleton.names != whole.skeleton.names or motion.fps != whole.fps:
            raise UserError("motions to join have the same joints and fps; use `retarget` and `resampled` first")
        if follow:
            ahead = multiply(whole.rotations[-1, 0], conjugate(motion.rotations[0, 0]))
            yaw = 2 * float(np.arctan2(ahead[1], ahead[3]))
            motion = motion.placed(yaw, np.zeros(3))
            motion = motion.placed(0.0, (whole.root[-1] - motion.root[0]) * (1, 0, 1))
            motion = motion.part(1) if motion.frames > 1 else motion
        root = np.concatenate([whole.root, motion.root])
        whole = replace(whole, root=root, rotations=np.concatenate([whole.rotations, motion.rotations]))
    return whole
