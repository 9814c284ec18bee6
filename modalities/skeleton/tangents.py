"""Tangents for normal maps, for parts that come without: along growing u, from the texture coordinates of the faces."""

from __future__ import annotations

import numpy as np

from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.rotations import Floats


def vertex_tangents(positions: Floats, normals: Floats, uv: Floats, faces: Ints) -> Floats:
    """Tangents (N, 4): a unit vector across the normal, and which way v runs as 1 or -1 (glTF's TANGENT)."""
    corners, places = positions[faces].astype(np.float64), uv[faces].astype(np.float64)
    edge_a, edge_b = corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]
    du_a, dv_a = (places[:, 1] - places[:, 0]).T
    du_b, dv_b = (places[:, 2] - places[:, 0]).T
    area = du_a * dv_b - du_b * dv_a
    scale = np.where(np.abs(area) > 1e-20, 1 / np.where(np.abs(area) > 1e-20, area, 1), 0)[:, None]
    along_u = (edge_a * dv_b[:, None] - edge_b * dv_a[:, None]) * scale
    along_v = (edge_b * du_a[:, None] - edge_a * du_b[:, None]) * scale
    u, v = (_gathered(along, faces, len(positions)) for along in (along_u, along_v))
    across = u - normals * (u * normals).sum(1, keepdims=True)
    length = np.linalg.norm(across, axis=1, keepdims=True)
    other = np.where(np.abs(normals[:, :1]) < 0.9, np.asarray([1.0, 0, 0]), np.asarray([0, 1.0, 0]))
    spare = np.cross(other, normals)
    spare /= np.linalg.norm(spare, axis=1, keepdims=True)
    tangents = np.where(length > 1e-12, across / np.maximum(length, 1e-12), spare)
    side = np.where((np.cross(normals, tangents) * v).sum(1, keepdims=True) < 0, -1.0, 1.0)
    return np.concatenate([tangents, side], 1).astype(np.float32)


def _gathered(values: Floats, faces: Ints, count: int) -> Floats:
    """Face values (F, 3), each of length 1 first, added up at the vertices (count, 3)."""
    length = np.linalg.norm(values, axis=1, keepdims=True)
    values = values / np.where(length > 0, length, 1)
    total = np.zeros((count, 3))
    for corner in range(3):
        for axis in range(3):
            total[:, axis] += np.bincount(faces[:, corner], values[:, axis], count)
    return total
