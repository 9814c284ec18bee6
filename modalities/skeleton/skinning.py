"""Linear blend skinning: which joints carry a vertex, and where they take it."""

from __future__ import annotations

from typing import Any

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.kinematics import Ints
from unreel.modalities.skeleton.rotations import Floats, library

INFLUENCES = 4  # joints per vertex, as glTF viewers expect


def top_weights(joints: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """The four strongest of K influences (N, K): joints (N, 4) and weights (N, 4), strongest first, adding up to 1.

    A joint named twice counts once with both weights; joints without weight are 0; weights that are negative or not
    finite count as none. A vertex without any weight follows the joint it names first.
    """
    joints = np.asarray(joints, np.int64).copy()
    weights = np.where(np.isfinite(weights), np.maximum(weights, 0), 0).astype(np.float64)
    lost = weights.sum(1) < 1e-6
    weights[lost] = 0
    weights[lost, 0] = 1
    for a in range(joints.shape[1]):
        for b in range(a + 1, joints.shape[1]):
            same = joints[:, a] == joints[:, b]
            weights[same, a] += weights[same, b]
            weights[same, b] = 0
    if joints.shape[1] < INFLUENCES:
        spare = ((0, 0), (0, INFLUENCES - joints.shape[1]))
        joints, weights = np.pad(joints, spare), np.pad(weights, spare)
    best = np.argsort(-weights, 1, kind="stable")[:, :INFLUENCES]
    joints, weights = np.take_along_axis(joints, best, 1), np.take_along_axis(weights, best, 1)
    return _normalised(joints, weights)


def _normalised(joints: Ints, weights: Floats) -> tuple[Ints, Floats]:
    """Weights that add up to 1 in float32, those under a ten-thousandth taken away; joints without weight are 0."""
    weights = weights / weights.sum(1, keepdims=True)
    weights[weights < 1e-4] = 0
    small = (weights / weights.sum(1, keepdims=True)).astype(np.float32)
    small[:, 0] = np.float32(1) - small[:, 1:].sum(1, dtype=np.float32)
    return np.where(small > 0, joints, 0), small


def dense_to_top(weights_NJ: Floats) -> tuple[Ints, Floats]:
    """The four strongest joints of every row of a full table (N, J)."""
    count = min(INFLUENCES, weights_NJ.shape[1])
    best = np.argpartition(-weights_NJ, count - 1, axis=1)[:, :count]
    return top_weights(best, np.take_along_axis(weights_NJ, best, 1))


def top_to_dense(joints: Ints, weights: Floats, count: int) -> Floats:
    """The full table (N, count) of influences (N, K)."""
    dense = np.zeros((len(joints), count), np.float32)
    np.add.at(dense, (np.arange(len(joints))[:, None], joints), weights)
    return dense


def skin(points: Any, joints: Any, weights: Any, matrices: Any) -> Any:
    """Rest points (N, 3) taken along by their joints: (..., N, 3); arrays, or tensors with gradients.

    ``matrices`` (..., J, 4, 4) are world matrices times inverse binds (see `skin_matrices`); ``joints`` and
    ``weights`` are (N, K). A leading batch of poses shares the points.
    """
    lib = library(matrices)
    total = 0
    for place in range(joints.shape[1]):
        chosen = matrices[..., joints[:, place], :3, :]
        moved = (chosen[..., :3] @ points[..., None])[..., 0] + chosen[..., 3]
        total = total + weights[:, place, None] * moved
    return total if lib is not np else np.asarray(total, np.float32)


def skin_normals(normals: Floats, joints: Ints, weights: Floats, matrices: Floats) -> Floats:
    """Rest normals (N, 3) turned by their joints (J, 4, 4) without scale, and of length 1 again: (N, 3)."""
    total = np.zeros(normals.shape)
    for place in range(joints.shape[1]):
        total += weights[:, place, None] * (matrices[joints[:, place], :3, :3] @ normals[..., None])[..., 0]
    length = np.linalg.norm(total, axis=-1, keepdims=True)
    return np.where(length > 1e-9, total / np.maximum(length, 1e-9), normals).astype(np.float32)


def skin_matrices(globals_J44: Any, inverse_binds: Any) -> Any:
    """What each joint does to a rest point: world matrices (..., J, 4, 4) times inverse binds (J, 4, 4)."""
    return globals_J44 @ inverse_binds


def lift_weights(
    vertices: Floats, points: Floats, weights_MJ: Floats, *, neighbours: int = 4, block: int = 2048
) -> tuple[Ints, Floats]:
    """Weights of sampled surface points (M, J) carried over to vertices: the four strongest joints of each.

    Each vertex takes the mean of its nearest points, nearer ones counting more (one over squared distance).
    ``vertices`` (N, D) and ``points`` (M, D) may carry more than places: normals times a length, appended, keep the
    inner sides of two legs apart. Brute force, in blocks.
    """
    if len(points) != len(weights_MJ) or not len(points):
        raise UserError(f"weights come for each of the points, got {len(weights_MJ)} for {len(points)} points")
    count = min(neighbours, len(points))
    points64 = points.astype(np.float64) - points.mean(0)
    lengths = (points64**2).sum(1)
    joints, weights = [], []
    for start in range(0, len(vertices), block):
        here = vertices[start : start + block].astype(np.float64) - points.mean(0)
        far = np.maximum((here**2).sum(1)[:, None] + lengths - 2 * here @ points64.T, 0)
        near = np.argpartition(far, count - 1, axis=1)[:, :count]
        pull = 1 / (np.take_along_axis(far, near, 1) + 1e-12)
        pull /= pull.sum(1, keepdims=True)
        mean = (weights_MJ[near] * pull[..., None]).sum(1)
        four, shares = dense_to_top(mean)
        joints.append(four)
        weights.append(shares)
    return np.concatenate(joints), np.concatenate(weights)
