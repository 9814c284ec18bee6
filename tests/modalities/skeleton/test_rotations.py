"""Quaternions against matrices, axes and each other."""

import numpy as np
import pytest
import torch

from unreel.modalities.skeleton import rotations as r

Q = r.unit(np.random.default_rng(3).normal(size=(200, 4)))


def test_matrix_round_trip() -> None:
    back = r.from_matrix(r.to_matrix(Q))
    assert np.allclose(back, np.where(Q[:, 3:] < 0, -Q, Q), atol=1e-12)
    assert np.allclose(np.linalg.det(r.to_matrix(Q)), 1)


def test_half_turns_survive_the_matrix() -> None:
    turns = np.concatenate([np.eye(3), np.zeros((3, 1))], 1)
    assert np.allclose(np.abs(r.from_matrix(r.to_matrix(turns))), turns)


def test_multiply_does_the_second_first() -> None:
    quarter_x = r.from_axis_angle(np.asarray([1.0, 0, 0]), np.pi / 2)
    quarter_y = r.from_axis_angle(np.asarray([0, 1.0, 0]), np.pi / 2)
    z = np.asarray([0, 0, 1.0])
    assert np.allclose(r.rotate(quarter_x, np.asarray([0, 1.0, 0])), z)  # right-handed: y goes to z around x
    assert np.allclose(r.rotate(r.multiply(quarter_x, quarter_y), z), [1, 0, 0])
    assert np.allclose(r.multiply(Q, r.conjugate(Q)), [0, 0, 0, 1])


def test_tensors_give_the_same_and_gradients() -> None:
    q = torch.tensor(Q, requires_grad=True)
    matrix = r.to_matrix(r.multiply(q, q))
    assert np.allclose(matrix.detach().numpy(), r.to_matrix(r.multiply(Q, Q)))
    matrix.sum().backward()
    assert q.grad is not None


@pytest.mark.parametrize("order", ["XYZ", "XZY", "YXZ", "YZX", "ZXY", "ZYX"])
def test_euler_orders(order: str) -> None:
    angles = r.to_euler(Q, order)
    assert np.allclose(r.to_matrix(r.from_euler(angles, order)), r.to_matrix(Q))
    one = np.zeros(3)
    one[1] = 0.3
    assert np.allclose(r.from_euler(one, order), r.from_axis_angle(np.eye(3)["XYZ".index(order[1])], 0.3))


@pytest.mark.parametrize("order", ["XYZ", "ZYX", "ZXY"])
@pytest.mark.parametrize("middle", [np.pi / 2, -np.pi / 2])
def test_euler_when_two_axes_fall_together(order: str, middle: float) -> None:
    q = r.from_euler(np.asarray([0.4, middle, -0.7]), order)
    assert np.allclose(r.to_matrix(r.from_euler(r.to_euler(q, order), order)), r.to_matrix(q), atol=1e-6)


def test_between_directions() -> None:
    a, b = np.random.default_rng(1).normal(size=(2, 100, 3))
    assert np.allclose(r.rotate(r.between(a, b), r.unit(a)), r.unit(b))
    assert np.allclose(r.rotate(r.between(a, -a), r.unit(a)), -r.unit(a))
    assert np.allclose(r.between(a, a), [0, 0, 0, 1])


def test_slerp_takes_the_shorter_way_at_a_steady_pace() -> None:
    x = np.asarray([1.0, 0, 0])
    a, b = r.from_axis_angle(x, 0.0), -r.from_axis_angle(x, 1.0)
    for part in (0.0, 0.25, 1.0):
        assert np.allclose(r.to_matrix(r.slerp(a, b, np.asarray(part))), r.to_matrix(r.from_axis_angle(x, part)))


def test_continuous_flips_signs_only() -> None:
    q = Q.copy()
    steady = r.continuous(q)
    assert (np.sum(steady[1:] * steady[:-1], -1) >= 0).all()
    assert np.allclose(np.abs(steady), np.abs(Q))


def test_nearest_rotation_takes_scale_and_mirroring_out() -> None:
    turn = r.to_matrix(Q)
    assert np.allclose(r.nearest_rotation(turn * 3.5), turn)
    assert np.allclose(np.linalg.det(r.nearest_rotation(turn * np.asarray([-1, 1, 1]))), 1)


def test_unit_of_nothing() -> None:
    assert r.unit(np.zeros((1, 4))).tolist() == [[0, 0, 0, 1]]
    assert r.unit(np.zeros((1, 3))).tolist() == [[0, 1, 0]]
