"""From local poses to the world and back, level by level."""

import numpy as np
import torch

from unreel.modalities.skeleton.kinematics import forward, local_turns, world_turns
from unreel.modalities.skeleton.rotations import from_axis_angle, multiply, to_matrix, unit
from unreel.modalities.skeleton.skeleton import Skeleton

RNG = np.random.default_rng(3)
TREE = np.asarray([-1, 0, 1, 0, 3, 1, 4, 0])  # levels 0; 1 3 7; 2 4 5; 6


def test_forward_by_hand() -> None:
    quarter = from_axis_angle(np.asarray([0, 0, 1.0]), np.pi / 2)
    skeleton = Skeleton(("a", "b", "c"), np.asarray([-1, 0, 1]), np.asarray([[1, 0, 0]] * 3), np.asarray([quarter] * 3))
    assert np.allclose(skeleton.positions, [[1, 0, 0], [1, 1, 0], [0, 1, 0]], atol=1e-6)
    assert skeleton.bones.tolist() == [[0, 1], [1, 2]]
    assert np.allclose(skeleton.globals @ skeleton.inverse_binds, np.eye(4), atol=1e-6)


def test_forward_batches_scales_and_tensors() -> None:
    translations = RNG.normal(size=(8, 3)).astype(np.float32)
    turns = unit(RNG.normal(size=(7, 8, 4))).astype(np.float32)
    scales = RNG.uniform(0.5, 2, (7, 8, 3)).astype(np.float32)
    world = forward(TREE, translations, turns, scales)
    assert world.shape == (7, 8, 4, 4)
    tensors = [torch.tensor(value, requires_grad=True) for value in (translations, turns, scales)]
    same = forward(TREE, *tensors)
    assert np.allclose(same.detach().numpy(), world, atol=1e-4)
    same.sum().backward()
    assert all(value.grad is not None for value in tensors)


def test_every_joint_follows_its_own_parent() -> None:
    """Joint after joint, as the definition has it."""
    turns = unit(RNG.normal(size=(3, 8, 4)))
    world = world_turns(TREE, turns)
    for joint, parent in enumerate(TREE):
        above = turns[:, joint] if parent < 0 else multiply(world[:, parent], turns[:, joint])
        assert np.array_equal(world[:, joint], above)
    assert np.allclose(to_matrix(world), forward(TREE, np.zeros(3), turns)[..., :3, :3])
    assert np.allclose(to_matrix(local_turns(TREE, world)), to_matrix(turns))


def test_a_root_alone_is_where_it_is() -> None:
    turn = unit(RNG.normal(size=(2, 1, 4)))
    assert np.array_equal(world_turns(np.asarray([-1]), turn), turn)
    assert np.array_equal(local_turns(np.asarray([-1]), turn), turn)
