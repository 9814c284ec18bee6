"""Quaternions xyzw and rotation matrices (..., 3, 3) for column vectors. All of it works on batches of any shape.

Functions that say "array or tensor" take numpy or torch and give back the same; torch carries gradients through them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]

IDENTITY = (0.0, 0.0, 0.0, 1.0)
AXES = "XYZ"


def library(array: Any) -> Any:
    """torch for a tensor, numpy for everything else."""
    return torch if isinstance(array, torch.Tensor) else np


def multiply(a: Any, b: Any) -> Any:
    """The rotation that does ``b`` first, then ``a``; arrays or tensors (..., 4)."""
    ax, ay, az, aw = (a[..., i] for i in range(4))
    bx, by, bz, bw = (b[..., i] for i in range(4))
    parts = [
        aw * bx + ax * bw + ay * bz - az * by,
        aw * by - ax * bz + ay * bw + az * bx,
        aw * bz + ax * by - ay * bx + az * bw,
        aw * bw - ax * bx - ay * by - az * bz,
    ]
    return library(a).stack(parts, -1)


def conjugate(q: Any) -> Any:
    """The inverse of unit quaternions; array or tensor (..., 4)."""
    return library(q).stack([-q[..., 0], -q[..., 1], -q[..., 2], q[..., 3]], -1)


def to_matrix(q: Any) -> Any:
    """Rotation matrices (..., 3, 3) of unit quaternions (..., 4); array or tensor."""
    stack = library(q).stack
    x, y, z, w = (q[..., i] for i in range(4))
    rows = [
        stack([1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)], -1),
        stack([2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)], -1),
        stack([2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)], -1),
    ]
    return stack(rows, -2)


def rotate(q: Any, vectors: Any) -> Any:
    """Vectors (..., 3) turned by unit quaternions (..., 4); arrays or tensors whose leading shapes broadcast."""
    return (to_matrix(q) @ vectors[..., None])[..., 0]


def unit(q: Floats) -> Floats:
    """Quaternions or vectors divided by their length; those of (nearly) no length become the identity, or +Y."""
    length = np.linalg.norm(q, axis=-1, keepdims=True)
    fallback = np.asarray(IDENTITY if q.shape[-1] == 4 else (0.0, 1.0, 0.0), q.dtype)
    return np.where(length > 1e-12, q / np.maximum(length, 1e-12), fallback)


def from_matrix(matrix: Floats) -> Floats:
    """Unit quaternions (..., 4), w >= 0, of rotation matrices (..., 3, 3); of four formulas the best conditioned."""
    m = np.asarray(matrix)
    a, b, c = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    xy, xz, yz = (m[..., i, j] + m[..., j, i] for i, j in ((0, 1), (0, 2), (1, 2)))
    wx, wy, wz = (m[..., i, j] - m[..., j, i] for i, j in ((2, 1), (0, 2), (1, 0)))
    rows = [
        np.stack([1 + a - b - c, xy, xz, wx], -1),
        np.stack([xy, 1 - a + b - c, yz, wy], -1),
        np.stack([xz, yz, 1 - a - b + c, wz], -1),
        np.stack([wx, wy, wz, 1 + a + b + c], -1),
    ]
    table = np.stack(rows, -2)
    best = np.argmax(np.diagonal(table, axis1=-2, axis2=-1), -1)
    q = unit(np.take_along_axis(table, best[..., None, None], -2)[..., 0, :])
    return np.where(q[..., 3:] < 0, -q, q)


def from_axis_angle(axis: Floats, angle: Floats | float) -> Floats:
    """Quaternions that turn by ``angle`` (radians, broadcast) around unit axes (..., 3)."""
    half = np.asarray(angle, np.float64)[..., None] / 2
    sines = np.asarray(axis, np.float64) * np.sin(half)
    return np.concatenate([sines, np.broadcast_to(np.cos(half), (*sines.shape[:-1], 1))], -1)


def between(a: Floats, b: Floats) -> Floats:
    """The shortest turn (..., 4) that brings directions ``a`` (..., 3) onto ``b``; any half turn for opposite ones."""
    a, b = unit(np.asarray(a, np.float64)), unit(np.asarray(b, np.float64))
    w = 1 + np.sum(a * b, -1, keepdims=True)
    q = np.concatenate([np.cross(a, b), w], -1)
    other = np.where(np.abs(a[..., :1]) < 0.9, np.asarray([1.0, 0, 0]), np.asarray([0, 1.0, 0]))
    half_turn = np.concatenate([np.cross(a, other), np.zeros_like(w)], -1)
    return unit(np.where(w > 1e-8, q, half_turn))


def from_euler(angles: Floats, order: str) -> Floats:
    """Quaternions of ``angles`` (..., 3) in radians: R = R0 R1 R2, axes as in ``order`` ("ZXY"), the last first."""
    turns = [from_axis_angle(np.eye(3)[AXES.index(axis)], np.asarray(angles)[..., i]) for i, axis in enumerate(order)]
    return np.asarray(multiply(multiply(turns[0], turns[1]), turns[2]))


def to_euler(q: Floats, order: str) -> Floats:
    """Angles (..., 3) in radians so that `from_euler` of them is ``q``; the middle one is within a quarter turn."""
    m = to_matrix(np.asarray(q, np.float64))
    i, j, k = (AXES.index(axis) for axis in order)
    sign = 1.0 if (j - i) % 3 == 1 else -1.0
    sine = np.clip(sign * m[..., i, k], -1, 1)
    locked = np.abs(sine) > 1 - 1e-10
    first = np.where(
        locked, np.arctan2(sign * m[..., k, j], m[..., j, j]), np.arctan2(-sign * m[..., j, k], m[..., k, k])
    )
    last = np.where(locked, 0.0, np.arctan2(-sign * m[..., i, j], m[..., i, i]))
    return np.stack([first, np.arcsin(sine), last], -1)


def slerp(a: Floats, b: Floats, part: Floats) -> Floats:
    """The rotation at ``part`` (...,) of the shorter way from ``a`` to ``b`` (..., 4)."""
    dot = np.sum(a * b, -1)
    b = np.where(dot[..., None] < 0, -b, b)
    angle = np.arccos(np.clip(np.abs(dot), 0, 1))
    sine = np.sin(angle)
    near = sine < 1e-6
    safe = np.where(near, 1.0, sine)
    weight_a = np.where(near, 1 - part, np.sin((1 - part) * angle) / safe)
    weight_b = np.where(near, part, np.sin(part * angle) / safe)
    return unit(weight_a[..., None] * a + weight_b[..., None] * b)


def continuous(q_T: Floats) -> Floats:
    """The same rotations (T, ..., 4) with signs chosen so that each is nearest to the one before."""
    q = np.array(q_T)
    flips = np.sum(q[1:] * q[:-1], -1) < 0
    signs = np.where(np.cumsum(flips, axis=0) % 2 == 1, -1.0, 1.0).astype(q.dtype)
    q[1:] *= signs[..., None]
    return q


def nearest_rotation(matrix: Floats) -> Floats:
    """The proper rotations nearest to matrices (..., 3, 3): scale, shear and mirroring taken out."""
    u, _, vt = np.linalg.svd(np.asarray(matrix, np.float64))
    u[..., :, 2] *= np.sign(np.linalg.det(u @ vt))[..., None]
    return np.asarray(u @ vt)
