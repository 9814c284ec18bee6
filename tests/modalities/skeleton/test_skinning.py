"""Weights of four, and where they take a point."""

import numpy as np
import pytest
import torch

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.skinning import (
    dense_to_top,
    lift_weights,
    skin,
    skin_matrices,
    skin_normals,
    top_to_dense,
    top_weights,
)


def test_the_four_strongest_stay_and_add_up() -> None:
    joints, weights = top_weights(np.asarray([[4, 1, 9, 2, 3, 5]]), np.asarray([[0.1, 0.3, 0.02, 0.2, 0.25, 0.13]]))
    assert joints.tolist() == [[1, 3, 2, 5]]
    assert weights.sum() == 1
    assert np.allclose(weights, np.asarray([[0.3, 0.25, 0.2, 0.13]]) / 0.88)


def test_bad_weights_are_mended() -> None:
    joints = np.asarray([[3, 3, 1, 0], [2, 1, 0, 0], [5, 6, 0, 0]])
    weights = np.asarray([[0.25, 0.25, 0.5, 0], [0, 0, 0, 0], [np.nan, 2, -1, 0]])
    four, shares = top_weights(joints, weights)
    assert four[0].tolist() in ([3, 1, 0, 0], [1, 3, 0, 0])  # the doubled joint counts once
    assert shares[0].tolist() == [0.5, 0.5, 0, 0]
    assert (four[1].tolist(), shares[1].tolist()) == ([2, 0, 0, 0], [1, 0, 0, 0])
    assert (four[2].tolist(), shares[2].tolist()) == ([6, 0, 0, 0], [1, 0, 0, 0])


def test_sums_are_exact_in_float32() -> None:
    rng = np.random.default_rng(0)
    _, weights = top_weights(rng.integers(0, 50, (5000, 8)), rng.random((5000, 8)) ** 4)
    assert np.abs(weights.sum(1, dtype=np.float64) - 1).max() < 1e-7
    assert (weights >= 0).all()


def test_dense_round_trip() -> None:
    table = np.asarray([[0.5, 0, 0.5], [0, 1, 0]], np.float32)
    assert np.allclose(top_to_dense(*dense_to_top(table), 3), table)


def test_a_vertex_follows_its_joint(arm: Rig) -> None:
    world = arm.clips[0].globals(arm.skeleton)
    matrices = skin_matrices(world, arm.skeleton.inverse_binds)
    posed = skin(arm.mesh.positions, arm.joints, arm.weights, matrices)
    assert posed.shape == (31, len(arm.mesh.positions), 3)
    assert np.allclose(posed[0], arm.mesh.positions, atol=1e-6)
    top = arm.mesh.positions[:, 1] > 1.99
    expected = np.stack([arm.mesh.positions[top, 0], 1 - arm.mesh.positions[top, 2], np.ones(top.sum())], 1)
    assert np.allclose(posed[-1][top], expected, atol=1e-5)  # a metre above the elbow is now a metre before it
    foot = arm.mesh.positions[:, 1] < 0.01
    assert np.allclose(posed[-1][foot], arm.mesh.positions[foot], atol=1e-6)


def test_tensors_skin_the_same_with_gradients(arm: Rig) -> None:
    world = torch.tensor(arm.clips[0].globals(arm.skeleton)[[7, 30]], requires_grad=True)
    matrices = skin_matrices(world, torch.tensor(arm.skeleton.inverse_binds))
    tensors = (torch.tensor(value) for value in (arm.mesh.positions, arm.joints, arm.weights))
    posed = skin(*tensors, matrices)
    same = skin(arm.mesh.positions, arm.joints, arm.weights, matrices.detach().numpy())
    assert np.allclose(posed.detach().numpy(), same, atol=1e-5)
    posed.sum().backward()
    assert world.grad is not None


def test_normals_turn_with_their_joint(arm: Rig) -> None:
    matrices = skin_matrices(arm.clips[0].globals(arm.skeleton)[-1], arm.skeleton.inverse_binds)
    normals = np.tile(np.asarray([0, 1, 0], np.float32), (len(arm.mesh.positions), 1))
    turned = skin_normals(normals, arm.joints, arm.weights, matrices)
    assert np.allclose(turned[arm.mesh.positions[:, 1] > 1.99], [0, 0, 1], atol=1e-5)


def test_lifted_weights_come_from_the_nearest_points() -> None:
    points = np.asarray([[0, 0, 0], [0, 1, 0], [0, 2, 0]], np.float32)
    joints, weights = lift_weights(
        points + np.float32(1e-5), points, np.eye(3, dtype=np.float32), neighbours=2, block=2
    )
    assert joints[:, 0].tolist() == [0, 1, 2]
    assert (weights[:, 0] > 0.999).all()
    half, shares = lift_weights(
        np.asarray([[0, 0.5, 0]], np.float32), points, np.eye(3, dtype=np.float32), neighbours=2
    )
    assert sorted(half[0, :2].tolist()) == [0, 1]
    assert np.allclose(shares[0, :2], 0.5)
    with pytest.raises(UserError, match="for each of the points"):
        lift_weights(points, points, np.eye(2, dtype=np.float32))


def test_normals_keep_sides_apart() -> None:
    """Two points nearly in one place that face away from each other: the vertex takes the one that faces its way."""
    points = np.asarray([[0, 0, 0, 1, 0, 0], [0.01, 0, 0, -1, 0, 0]], np.float32)
    vertex = np.asarray([[0.006, 0, 0, 1, 0, 0]], np.float32)
    table = np.eye(2, dtype=np.float32)
    assert lift_weights(vertex[:, :3], points[:, :3], table, neighbours=1)[0][0, 0] == 1
    assert lift_weights(vertex, points, table, neighbours=1)[0][0, 0] == 0
