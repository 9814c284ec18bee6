"""What a model sees of a mesh: points on its surface with their normals, in the unit box."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.mesh import Box, Mesh, box_of
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.surface import sample_surface

POINTS = 1024  # as RigAnything has them


@dataclass(frozen=True, eq=False)
class Subject:
    """Points and unit normals ``surface`` (N, 6) in the unit box of the mesh, farthest first: any number of them from
    the front is spread over all of it. ``box`` says where the mesh is."""

    surface: Floats
    box: Box


def subject_of(mesh: Mesh, points: int = POINTS, seed: int = 0) -> Subject:
    """The subject of a mesh of any size: a mesh of millions of faces costs a pass over them, not more.

    Raises:
        UserError: no face has an area.
    """
    return subject_from(mesh.positions, mesh.faces, points, seed)


def subject_from(positions: Floats, faces: Ints, points: int = POINTS, seed: int = 0) -> Subject:
    """The same for vertices (N, 3) and triangles (F, 3); vertices that no face has do not count for the box."""
    samples = sample_surface(positions, faces, points, seed)
    box = box_of(positions[np.unique(faces)])
    surface = np.concatenate([box.to_unit(samples.points), samples.normals], 1).astype(np.float32)
    return Subject(surface[farthest_first(surface[:, :3])], box)


def farthest_first(points: Floats, count: int | None = None) -> Ints:
    """An order of points (N, 3): the first ``count`` are each the farthest from those before, then the rest.

    The first is the one farthest from the middle. Gonzalez 1985; PointNet++ (Qi et al. 2017) samples so.
    """
    total = len(points)
    count = total if count is None else min(count, total)
    order = np.empty(total, np.int64)
    spots = np.ascontiguousarray(points - points.mean(0), np.float32)
    lengths = (spots**2).sum(1)
    apart = lengths.copy()
    for place in range(count):
        chosen = int(apart.argmax())
        order[place] = chosen
        far = lengths + lengths[chosen] - 2 * (spots @ spots[chosen])
        apart = np.minimum(apart, far) if place else far
        apart[chosen] = -1.0
    rest = np.ones(total, bool)
    rest[order[:count]] = False
    order[count:] = np.flatnonzero(rest)
    return order
