"""A mannequin to rig, made here: capsules along the bones of a body, melted into one closed surface."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from unreel.modalities.motion.body import BODY
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.materials import Looks, plain_material
from unreel.modalities.skeleton.mesh import Mesh, Part
from unreel.modalities.skeleton.rotations import Floats

STEP = 0.024  # metres between the points of the grid
MELT = 0.03  # metres over which two capsules become one
# From a joint to another: how thick it is at both, in metres.
CAPSULES = (
    ("hips", "spine2", 0.135, 0.12), ("spine2", "chest", 0.12, 0.145), ("chest", "neck", 0.11, 0.055),
    ("neck", "head", 0.055, 0.06), ("chest", "left_arm", 0.09, 0.06), ("left_arm", "left_forearm", 0.06, 0.045),
    ("left_forearm", "left_hand", 0.045, 0.034), ("hips", "left_thigh", 0.1, 0.085),
    ("left_thigh", "left_shin", 0.085, 0.06), ("left_shin", "left_foot", 0.06, 0.045),
    ("left_foot", "left_toes", 0.05, 0.04),
)  # fmt: skip
ENDS = (((0.75, 1.42, 0.0), (0.8, 1.42, 0.01), 0.046, 0.04), ((0.0, 1.62, 0.02), (0.0, 1.7, 0.03), 0.1, 0.09))
APART = {"left_thigh": 0.12, "left_shin": 0.16, "left_foot": 0.2, "left_toes": 0.22}  # metres to the side


def mannequin() -> Mesh:
    """A standing figure of 1.8 metres with its arms to the sides, facing +Z, in one closed part."""
    vertices, faces = surface(thickness, np.asarray([-0.95, -0.06, -0.24]), np.asarray([0.95, 1.86, 0.36]), STEP)
    part = Part(vertices, faces, material=0, name="mannequin")
    return Mesh((part,), Looks((plain_material((0.78, 0.63, 0.47, 1.0), "wood"),)))


def thickness(points_N3: Floats) -> Floats:
    """How far outside the mannequin points are (N,), negative inside; it is alike on both sides."""
    points = points_N3.astype(np.float64)
    points[:, 0] = np.abs(points[:, 0])
    spots = {name: place.astype(np.float64) for name, place in zip(BODY.names, BODY.positions, strict=True)}
    for name, side in APART.items():
        spots[name][0] = side
    bones = [(spots[a], spots[b], r, s) for a, b, r, s in CAPSULES]
    bones += [(np.asarray(a), np.asarray(b), r, s) for a, b, r, s in ENDS]
    total = np.full(len(points), 1e3)
    for begin, end, first, last in bones:
        along = end - begin
        share = np.clip((points - begin) @ along / (along @ along), 0, 1)
        apart = np.linalg.norm(points - begin - share[:, None] * along, axis=1) - (first + share * (last - first))
        near = np.clip(0.5 + (total - apart) / (2 * MELT), 0, 1)  # smooth minimum (Quilez's polynomial)
        total = total + near * (apart - total) - MELT * near * (1 - near)
    return total


def surface(field: Callable[[Floats], Floats], low: Floats, high: Floats, step: float) -> tuple[Floats, Ints]:
    """Vertices (N, 3) and triangles (F, 3) of where ``field`` is 0, its negative side inside.

    Surface nets (Gibson 1998): one vertex in every cell of the grid that the surface cuts, the mean of its cuts.
    """
    count = np.ceil((high - low) / step).astype(int) + 1
    grid = np.stack(np.meshgrid(*(np.arange(n) for n in count), indexing="ij"), -1)
    values = field(low + step * grid.reshape(-1, 3)).reshape(count)
    total, cuts = np.zeros((*(count - 1), 3)), np.zeros(count - 1)
    quads: list[Ints] = []
    unit = np.eye(3, dtype=int)
    for axis in range(3):
        a, b = unit[(axis + 1) % 3], unit[(axis + 2) % 3]
        inner = np.moveaxis(values, axis, 0)
        edges = np.argwhere(np.moveaxis((inner[:-1] < 0) != (inner[1:] < 0), 0, axis))
        first, last = values[tuple(edges.T)], values[tuple((edges + unit[axis]).T)]
        spots = edges + unit[axis] * (first / (first - last))[:, None]
        around = [edges, edges - a, edges - a - b, edges - b]
        for cells in around:
            np.add.at(total, tuple(cells.T), spots)
            np.add.at(cuts, tuple(cells.T), 1)
        ring = np.stack(around, 1)
        quads.append(np.where((first < 0)[:, None, None], ring, ring[:, ::-1]))
    used = cuts > 0
    place = np.cumsum(used.ravel()).reshape(used.shape) - 1
    corners = place[tuple(np.concatenate(quads).transpose(2, 0, 1))]
    vertices = low + step * total[used] / cuts[used][:, None]
    return vertices.astype(np.float32), np.concatenate([corners[:, [0, 1, 2]], corners[:, [0, 2, 3]]])
