"""Somebody to be seen when no rig was given: a spindle for every bone of a skeleton."""

from __future__ import annotations

import numpy as np

from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.materials import Looks, plain_material
from unreel.modalities.skeleton.mesh import Mesh, Part
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import Floats, unit
from unreel.modalities.skeleton.skeleton import Skeleton

COLOURS = ((0.85, 0.55, 0.2, 1.0), (0.2, 0.45, 0.8, 1.0), (0.75, 0.2, 0.25, 1.0))  # middle, left, right
THICK, WAIST = 0.14, 0.25  # of a bone's length: half its thickness, and where that is


def figure(skeleton: Skeleton) -> Rig:
    """A rig of that skeleton; every bone is carried by the joint it begins at."""
    parts, owners = [], []
    for parent, child in skeleton.bones:
        places = skeleton.positions[[parent, child]].astype(np.float64)
        name = skeleton.names[child]
        colour = 1 if "left" in name else 2 if "right" in name else 0
        positions, normals, faces = spindle(*places)
        parts.append(Part(positions, faces, normals, material=colour, name=name))
        owners += [int(parent)] * len(positions)
    joints = np.zeros((len(owners), 4), np.int64)
    joints[:, 0] = owners
    weights = np.tile(np.asarray([1.0, 0, 0, 0], np.float32), (len(owners), 1))
    looks = Looks(
        tuple(plain_material(colour, name) for colour, name in zip(COLOURS, ("middle", "left", "right"), strict=True))
    )
    return Rig(Mesh(tuple(parts), looks), skeleton, joints, weights)


def spindle(begin: Floats, end: Floats) -> tuple[Floats, Floats, Ints]:
    """Corners (24, 3), normals (24, 3) and triangles (8, 3) of a bone: thickest near its beginning, flat faces."""
    along = end - begin
    length = max(float(np.linalg.norm(along)), 1e-4)
    ahead = unit(along)
    side = unit(np.cross(ahead, [0.0, 0.0, 1.0] if abs(ahead[2]) < 0.9 else [1.0, 0.0, 0.0]))
    other = np.cross(ahead, side)
    ring = [begin + along * WAIST + length * THICK * way for way in (side, other, -side, -other)]
    corners = []
    for number in range(4):
        a, b = ring[number], ring[(number + 1) % 4]
        corners += [[begin, b, a], [end, a, b]]
    triangles = np.asarray(corners)
    normals = unit(np.cross(triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]))
    positions = triangles.reshape(-1, 3).astype(np.float32)
    return positions, normals.repeat(3, 0).astype(np.float32), np.arange(24).reshape(8, 3)
