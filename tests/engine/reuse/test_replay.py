"""Replays: polynomials through the last computed clean predictions."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.errors import UserError
from unreel.engine.reuse.replay import check_replay, extrapolate, lagrange
from unreel.engine.sampler.euler import Euler

X = torch.tensor([1.0, -2.0])


def test_weights_add_up_to_one_and_reproduce_their_own_points() -> None:
    assert sum(lagrange([0.1, 0.3, 0.4], 0.9)) == pytest.approx(1.0)
    assert lagrange([0.1, 0.3, 0.4], 0.3) == pytest.approx([0.0, 1.0, 0.0])


@pytest.mark.parametrize("order", [0, 1, 2])
def test_order_n_follows_a_polynomial_of_degree_n_exactly(order: int) -> None:
    times = [0.2, 0.25, 0.4][: order + 1]
    points = tuple((t, X * t**order) for t in times)
    assert torch.allclose(extrapolate(points, 0.7), X * 0.7**order, atol=1e-5)


def test_holding_the_clean_prediction_is_one_long_euler_step() -> None:
    """Why order 0 cannot beat fewer steps: the documented equality, with the velocity held as well."""
    state, clean, memory = torch.randn(4), torch.randn(4), {}
    long = Euler().step(state, clean, 0.25, 0.75, memory, torch.zeros(4).clone)
    short = state
    for a, b in ((0.25, 0.5), (0.5, 0.75)):
        short = Euler().step(short, clean, a, b, memory, torch.zeros(4).clone)
    velocity = (clean - state) / 0.75
    assert torch.allclose(long, short, atol=1e-6)
    assert torch.allclose(long, state + 0.5 * velocity, atol=1e-6)


def test_unknown_replays_are_refused() -> None:
    with pytest.raises(UserError, match="clean, linear, quadratic"):
        check_replay("cubic", 1.0)
    with pytest.raises(UserError, match="reach"):
        check_replay("clean", -1.0)


def test_a_slope_is_followed_as_far_as_it_was_measured_over() -> None:
    points = ((0.2, X * 0.2), (0.3, X * 0.3))
    assert torch.allclose(extrapolate(points, 0.35, reach=1.0), X * 0.35)
    assert torch.allclose(extrapolate(points, 0.9, reach=1.0), X * 0.4)
    assert torch.allclose(extrapolate(points, 0.9, reach=0.0), X * 0.3)
