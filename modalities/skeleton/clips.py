"""A clip: what the joints of one skeleton do over time, as local poses at a fixed rate."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.kinematics import forward
from unreel.modalities.skeleton.rotations import Floats, continuous, from_matrix, unit
from unreel.modalities.skeleton.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Clip:
    """Poses of J joints at ``fps`` frames per second, relative to their parents.

    ``translations`` (T, J, 3) metres, ``rotations`` (T, J, 4) xyzw, ``scales`` (T, J, 3) or None when nothing is
    scaled.
    """

    name: str
    fps: float
    translations: Floats
    rotations: Floats
    scales: Floats | None = None

    def __post_init__(self) -> None:
        frames, joints = self.rotations.shape[:2]
        if frames == 0 or self.rotations.shape[2:] != (4,) or self.translations.shape != (frames, joints, 3):
            raise UserError(
                f"a clip has translations (T, J, 3) and rotations (T, J, 4) of 1 frame or more, "
                f"got {self.translations.shape} and {self.rotations.shape}"
            )
        if self.scales is not None and self.scales.shape != (frames, joints, 3):
            raise UserError(f"scales of this clip are {(frames, joints, 3)}, got {self.scales.shape}")
        if not 0 < self.fps <= 1000:
            raise UserError(f"fps of a clip is above 0 and at most 1000, got {self.fps}")
        object.__setattr__(self, "translations", np.asarray(self.translations, np.float32))
        object.__setattr__(self, "rotations", continuous(unit(np.asarray(self.rotations, np.float32))))

    @property
    def frames(self) -> int:
        """How many poses there are."""
        return len(self.rotations)

    @property
    def seconds(self) -> float:
        """From the first pose to the last."""
        return (self.frames - 1) / self.fps

    def globals(self, skeleton: Skeleton) -> Floats:
        """World matrices (T, J, 4, 4)."""
        pose: Floats = forward(skeleton.parents, self.translations, self.rotations, self.scales)
        return pose

    def taken(self, skeleton: Skeleton, taken: Skeleton, order: np.ndarray) -> Clip:
        """The clip for the skeleton that `Skeleton.take` or `rerooted` made of this one; scales are left out."""
        return from_globals(self.name, self.fps, taken, self.globals(skeleton)[:, order], scaled=False)

    def scaled(self, factor: float) -> Clip:
        """The clip for `Skeleton.scaled` of the same factor."""
        return replace(self, translations=self.translations * np.float32(factor))


def from_globals(name: str, fps: float, skeleton: Skeleton, globals_TJ44: Floats, *, scaled: bool = True) -> Clip:
    """The clip whose joints are at these world matrices (T, J, 4, 4); shear goes, scale too unless ``scaled``."""
    pose = np.asarray(globals_TJ44, np.float64)
    if not scaled:
        upper, _ = split_scale(pose[..., :3, :3])
        pose = pose.copy()
        pose[..., :3, :3] = upper
    local = pose.copy()
    below = np.arange(1, len(skeleton))
    if len(below):
        local[:, 1:] = np.linalg.inv(pose[:, skeleton.parents[1:]]) @ pose[:, below]
    turns, scales = split_scale(local[..., :3, :3])
    plain = bool(np.abs(scales - 1).max() < 1e-3)
    return Clip(name, fps, local[..., :3, 3], from_matrix(turns), None if plain else scales.astype(np.float32))


def split_scale(upper: Floats) -> tuple[Floats, Floats]:
    """Matrices (..., 3, 3) as rotations (nearly, when there is shear) and scales (..., 3) of the columns.

    A mirroring matrix has a negative first scale; columns without length count as the identity's.
    """
    scales = np.linalg.norm(upper, axis=-2)
    turns = np.where(scales[..., None, :] > 1e-9, upper / np.maximum(scales, 1e-9)[..., None, :], np.eye(3))
    sign = np.where(np.linalg.det(turns) < 0, -1.0, 1.0)
    turns = turns.copy()
    turns[..., :, 0] *= sign[..., None]
    scales = scales.copy()
    scales[..., 0] *= sign
    return turns, scales
