"""What a model sees of a mesh: points on its surface, or a copy with fewer faces. The mesh itself is never changed."""

from __future__ import annotations

from dataclasses import dataclass

import fast_simplification
import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.mesh import Mesh
from unreel.modalities.skeleton.rotations import Floats


@dataclass(frozen=True, eq=False)
class Samples:
    """Points on a surface: where they are, which way it faces there, and in which face at which place they lie."""

    points: Floats  # (M, 3)
    normals: Floats  # (M, 3), unit, of the face
    faces: Ints  # (M,)
    corners: Floats  # (M, 3): how much each corner of the face counts, adding up to 1

    def carry(self, faces_F3: Ints, values: Floats) -> Floats:
        """Vertex values (N, ...) at the points (M, ...): weights of a rig, colours, posed positions."""
        chosen = values[faces_F3[self.faces]]
        shares = self.corners.reshape(*self.corners.shape, *([1] * (values.ndim - 1)))
        mean: Floats = (chosen * shares).sum(1).astype(np.float32)
        return mean


def sample_surface(positions: Floats, faces: Ints, count: int, seed: int) -> Samples:
    """``count`` points spread over the surface (N, 3), (F, 3), equally likely per area; the same seed, the same points.

    Raises UserError when no face has an area.
    """
    corners = positions[faces].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    double = np.linalg.norm(across, axis=1)
    total = np.cumsum(double)
    if not len(total) or not total[-1] > 0:
        raise UserError("the faces of the mesh have no area; give a surface")
    rng = np.random.default_rng(seed)
    # One draw in each of `count` equal shares of the area: as random as free draws, and spread more evenly.
    spots = (np.arange(count) + rng.random(count)) / count * total[-1]
    chosen = np.minimum(np.searchsorted(total, spots, side="right"), len(faces) - 1)
    a, b = rng.random((2, count))
    over = a + b > 1
    a, b = np.where(over, 1 - a, a), np.where(over, 1 - b, b)
    shares = np.stack([1 - a - b, a, b], 1)
    points = (corners[chosen] * shares[..., None]).sum(1)
    normals = across[chosen] / np.maximum(double[chosen], 1e-30)[:, None]
    shuffled = rng.permutation(count)
    return Samples(
        points[shuffled].astype(np.float32),
        normals[shuffled].astype(np.float32),
        chosen[shuffled],
        shares[shuffled].astype(np.float32),
    )


def decimated(mesh: Mesh, faces: int) -> tuple[Floats, Ints]:
    """Vertices and triangles of about ``faces`` faces that look like the mesh; the mesh's own when it has no more.

    Vertices at the same place are one here, so seams of materials and textures do not tear. Above ten times the target
    a grid thins it out first, so that millions of faces take a second or two.
    """
    if len(mesh.faces) > 10 * faces:
        positions, triangles = clustered(mesh.positions, mesh.faces, 10 * faces)
    else:
        positions, triangles = welded(mesh.positions, mesh.faces)
    if len(triangles) <= faces:
        return positions, triangles
    points, fewer = fast_simplification.simplify(positions, triangles.astype(np.int32), target_count=faces)
    if not len(fewer):
        return positions, triangles
    return np.asarray(points, np.float32), np.asarray(fewer, np.int64)


def welded(positions: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """The surface with vertices at exactly the same place made one; faces that thereby lose a corner are gone."""
    keys = np.ascontiguousarray(positions, np.float32) + np.float32(0)
    _, first, place = np.unique(keys.view("V12").ravel(), return_index=True, return_inverse=True)
    return _relabelled(positions[first], place.reshape(-1)[faces])


def clustered(positions: Floats, faces: Ints, target: int) -> tuple[Floats, Ints]:
    """The surface with the vertices of each grid cell made one, at their mean; about ``target`` faces stay."""
    low, size = positions.min(0), float(np.ptp(positions, axis=0).max())
    cells = max(8, round(np.sqrt(target / 2)))
    grid = np.floor((positions - low) / size * (cells - 1e-3)).astype(np.int64)
    key = (grid[:, 0] * (cells + 1) + grid[:, 1]) * (cells + 1) + grid[:, 2]
    _, place, count = np.unique(key, return_inverse=True, return_counts=True)
    place = place.reshape(-1)
    mean = np.stack([np.bincount(place, positions[:, axis]) / count for axis in range(3)], 1)
    return _relabelled(mean.astype(np.float32), place[faces])


def _relabelled(positions: Floats, faces: Ints) -> tuple[Floats, Ints]:
    """Faces with three different corners, each once."""
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (a != c)]
    lowest = np.argmin(faces, 1)
    turned = faces[np.arange(len(faces))[:, None], (lowest[:, None] + np.arange(3)) % 3]
    base = np.int64(len(positions))
    if base < 2_000_000:
        _, first = np.unique((turned[:, 0] * base + turned[:, 1]) * base + turned[:, 2], return_index=True)
        turned = turned[np.sort(first)]
    return positions, turned
