"""A rig: a mesh, its skeleton, which joints carry which vertex, and the clips it came with."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.clips import Clip
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton
from unreel.modalities.skeleton.skinning import skin, skin_matrices, skin_normals, top_weights


@dataclass(frozen=True, eq=False)
class Rig:
    """The mesh stands as when the skeleton rests; ``joints`` (N, 4) and ``weights`` (N, 4) are of all its vertices."""

    mesh: Mesh
    skeleton: Skeleton
    joints: Ints
    weights: Floats
    clips: tuple[Clip, ...] = ()
    notes: tuple[str, ...] = ()
    weightless: int = 0  # vertices that had no weight in the file they came from

    def __post_init__(self) -> None:
        count = len(self.mesh.positions)
        if self.joints.shape != (count, 4) or self.weights.shape != (count, 4):
            raise UserError(
                f"a rig has four joints and weights for each of its {count} vertices, "
                f"got {self.joints.shape} and {self.weights.shape}; use `top_weights` or `lift_weights`"
            )
        if self.joints.min() < 0 or self.joints.max() >= len(self.skeleton):
            raise UserError(f"joints are 0 to {len(self.skeleton) - 1}, got {self.joints.min()} to {self.joints.max()}")
        for clip in self.clips:
            if clip.rotations.shape[1] != len(self.skeleton):
                raise UserError(
                    f"clip {clip.name!r} moves {clip.rotations.shape[1]} joints, the skeleton has {len(self.skeleton)}"
                )

    def posed(self, globals_J44: Floats) -> Mesh:
        """The mesh in the pose of these world matrices (J, 4, 4)."""
        matrices = skin_matrices(globals_J44, self.skeleton.inverse_binds)
        positions = skin(self.mesh.positions, self.joints, self.weights, matrices)
        return self.mesh.with_positions(positions, skin_normals(self.mesh.normals, self.joints, self.weights, matrices))

    def weight_sums(self) -> Floats:
        """How much weight each joint carries in all (J,)."""
        return np.bincount(self.joints.ravel(), self.weights.ravel(), len(self.skeleton)).astype(np.float64)

    def pruned(self, stray: float = 0.0) -> Rig:
        """The rig without joints that carry nothing themselves nor below them (tips, handles, targets).

        A root with one child is taken away too when it carries no more than ``stray`` of all weight, which goes to the
        child. Clips follow, without their scales if there were any.
        """
        sums = self.weight_sums()
        carries = sums > 0
        for joint in range(len(self.skeleton) - 1, 0, -1):
            carries[self.skeleton.parents[joint]] |= carries[joint]
        root = 0
        while sums[root] <= stray * sums.sum() and sum(carries[child] for child in self.skeleton.children[root]) == 1:
            carries[root] = False
            root = next(child for child in self.skeleton.children[root] if carries[child])
        return self.take(np.flatnonzero(carries))

    def take(self, keep: Ints) -> Rig:
        """The rig with only some joints; the weights of the others go to the nearest kept ancestor (or the root)."""
        skeleton, order = self.skeleton.take(keep)
        place = {int(old): new for new, old in enumerate(order)}
        target = np.zeros(len(self.skeleton), np.int64)
        for old in range(len(self.skeleton)):
            above = old
            while above >= 0 and above not in place:
                above = int(self.skeleton.parents[above])
            target[old] = place.get(above, 0)
        return self._on(skeleton, order, target)

    def rehung(self, changes: dict[int, int]) -> Rig:
        """The rig with some joints (the keys) hung on other parents; it looks the same in every clip but for scales."""
        skeleton, order = self.skeleton.rehung(changes)
        return self._on(skeleton, order, np.argsort(order))

    def _on(self, skeleton: Skeleton, order: Ints, target: Ints) -> Rig:
        """The rig on a rebuilt skeleton: ``order[new] = old``, ``target[old] = new``."""
        joints, weights = top_weights(target[self.joints], self.weights)
        clips = tuple(clip.taken(self.skeleton, skeleton, order) for clip in self.clips)
        return replace(self, skeleton=skeleton, joints=joints, weights=weights, clips=clips)

    def scaled(self, factor: float) -> Rig:
        """Everything grown around the world's origin: 0.001 makes metres of millimetres."""
        return replace(
            self,
            mesh=self.mesh.scaled(factor),
            skeleton=self.skeleton.scaled(factor),
            clips=tuple(clip.scaled(factor) for clip in self.clips),
        )
