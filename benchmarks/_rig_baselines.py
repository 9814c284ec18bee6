"""What a rig model is measured beside: the nearest rig it could have copied, and geometry alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unreel.benchmarks._rig_medial import medial_skeleton
from unreel.benchmarks._rig_metrics import Bones, to_bones
from unreel.benchmarks._rig_sights import Sight
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.surface import sample_surface

LOOKED = 512  # points by which shapes are compared
DENSE = 40_000  # points that fill the cells of a solid
FALL = 4  # weights of the nearest bones fall with this power of the distance


@dataclass(frozen=True, eq=False)
class Copied:
    """A training rig stretched to another mesh's box: skeleton, and points with their weights in it."""

    name: str
    bones: Bones
    points: Floats
    weights: Floats


def stretched(points: Floats, own: Floats, other: Floats) -> Floats:
    """Points moved with the box (2, 3) ``own`` stretched to ``other``, each axis by itself."""
    size = np.maximum(own[1] - own[0], 1e-9)
    return (points - own[0]) / size * (other[1] - other[0]) + other[0]


def bounds(points: Floats) -> Floats:
    return np.stack([points.min(0), points.max(0)])


def nearest_rig(sight: Sight, train: Sequence[Sight]) -> Copied:
    """The training rig whose surface, stretched to this mesh's box, is nearest to its surface."""
    target = sight.points[:LOOKED]
    box, best, least = bounds(sight.points), train[0], np.inf
    for other in train:
        moved = stretched(other.points[:LOOKED], bounds(other.points), box)
        apart = np.linalg.norm(target[:, None] - moved[None], axis=-1)
        distance = float(apart.min(0).mean() + apart.min(1).mean())
        if distance < least:
            best, least = other, distance
    own = bounds(best.points)
    bones = stretched(best.bones[0], own, box), best.bones[1]
    return Copied(best.name, bones, stretched(best.points, own, box), best.weights)


def copied_weights(sight: Sight, copied: Copied) -> Floats:
    """Weights (N, J) for the true skeleton: those of the nearest copied point, each joint's going to the true joint
    nearest to it."""
    apart = np.linalg.norm(sight.points[:, None] - copied.points[None], axis=-1)
    found = copied.weights[apart.argmin(1)]
    target = np.linalg.norm(copied.bones[0][:, None] - sight.bones[0][None], axis=-1).argmin(1)
    weights = np.zeros((len(sight.points), len(sight.bones[0])))
    np.add.at(weights.T, target, found.T)
    return weights


def medial(mesh: Mesh, sight: Sight) -> Bones:
    """The skeleton of middle lines."""
    dense = sample_surface(mesh.positions, mesh.faces, DENSE, seed=2).points
    return medial_skeleton(sight.box.to_unit(dense))


def bone_weights(sight: Sight) -> Floats:
    """Weights (N, J) for the true skeleton by distance alone: a joint carries the bones to its children (its own spot,
    where it has none)."""
    joints, parents = sight.bones
    child = np.flatnonzero(parents >= 0)
    to_spot = np.linalg.norm(sight.points[:, None] - joints[None], axis=-1)
    own = np.full_like(to_spot, np.inf)
    if len(child):
        bones = to_bones(sight.points, sight.bones)
        for number, joint in enumerate(parents[child]):
            own[:, joint] = np.minimum(own[:, joint], bones[:, number])
    apart = np.where(np.isfinite(own), own, to_spot)
    pull = 1 / np.maximum(apart, 1e-3) ** FALL
    kept = np.where(pull >= np.sort(pull, axis=1)[:, -min(4, pull.shape[1])][:, None], pull, 0)
    return kept / kept.sum(1, keepdims=True)
