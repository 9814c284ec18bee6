"""Samplers against flows whose answer is known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.interfaces import Memory, Sampler
from unreel.engine.sampler.euler import Euler
from unreel.engine.sampler.multistep import Multistep
from unreel.engine.sampler.renoise import Renoise
from unreel.engine.sampler.times import Grid


def run(sampler: Sampler, steps: int, spread: float) -> Tensor:
    """Integrate the exact flow of normal data with standard deviation ``spread``; its end is ``spread * noise``."""
    x = torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
    times, memory = Grid().times(steps), Memory()
    for t, after in zip(times, times[1:], strict=False):
        variance = (t * spread) ** 2 + (1 - t) ** 2
        x = sampler.step(x, t * spread**2 / variance * x, t, after, memory, lambda: torch.zeros(3, dtype=torch.float64))
    return x


def error(sampler: Sampler, steps: int) -> float:
    target = 0.5 * torch.tensor([1.0, -0.5, 2.0], dtype=torch.float64)
    return float((run(sampler, steps, 0.5) - target).abs().max())


def test_euler_converges_with_first_order() -> None:
    assert error(Euler(), 64) < 0.6 * error(Euler(), 32)


def test_multistep_is_better_than_euler_and_converges_faster() -> None:
    assert error(Multistep(), 32) < error(Euler(), 32)
    assert error(Multistep(), 64) < 0.4 * error(Multistep(), 32)


@pytest.mark.parametrize("sampler", [Euler(), Multistep(), Renoise()])
def test_a_perfect_prediction_is_reached_whatever_the_steps(sampler: Sampler) -> None:
    clean, x, memory = torch.tensor([0.3, -0.7]), torch.randn(2), Memory()
    times = Grid(shift=3.0).times(5)
    for t, after in zip(times, times[1:], strict=False):
        x = sampler.step(x, clean, t, after, memory, lambda: torch.randn(2))
    assert torch.allclose(x, clean, atol=1e-6)


def test_renoise_mixes_prediction_and_fresh_noise() -> None:
    state = Renoise().step(torch.zeros(2), torch.ones(2), 0.0, 0.25, {}, lambda: torch.full((2,), 4.0))
    assert torch.equal(state, torch.full((2,), 0.25 + 3.0))


def test_samplers_leave_their_inputs_alone() -> None:
    x, clean = torch.zeros(2), torch.ones(2)
    for sampler in (Euler(), Multistep(), Renoise()):
        sampler.step(x, clean, 0.2, 0.4, {}, lambda: torch.ones(2))
    assert torch.equal(x, torch.zeros(2))
    assert torch.equal(clean, torch.ones(2))


def test_times_rise_from_noise_to_clean_and_shift_lingers_on_noise() -> None:
    assert Grid().times(4) == (0.0, 0.25, 0.5, 0.75, 1.0)
    shifted = Grid(shift=5.0).times(4)
    noise = [round(1000 * (1 - t), 1) for t in shifted]
    assert noise == [1000.0, 937.5, 833.3, 625.0, 0.0]  # the warped list of Self-Forcing


def test_fixed_sigmas_belong_to_their_number_of_steps() -> None:
    grid = Grid(sigmas=(1.0, 0.75, 0.5))
    assert grid.times(3) == (0.0, 0.25, 0.5, 1.0)
    with pytest.raises(UserError, match="3 steps"):
        grid.times(4)


def test_noise_is_as_loud_as_the_number_of_steps_says() -> None:
    grid = Grid(noise_scale={4: 1.0, 8: 0.5})
    assert [grid.scale(steps) for steps in (1, 4, 6, 8, 32)] == [1.0, 1.0, 0.75, 0.5, 0.5]
    assert Grid().scale(4) == 1.0
    assert Grid(noise_scale=0.9).scale(4) == 0.9


def test_more_steps_may_linger_longer_on_noise() -> None:
    grid = Grid(shift={4: 9.0, 8: 21.0})
    assert [round(grid.times(steps)[-2], 4) for steps in (4, 8)] == [0.25, 0.25]
    assert grid.times(6) == Grid(shift=15.0).times(6)
    assert grid.times(2) == Grid(shift=9.0).times(2)


@pytest.mark.parametrize(
    "options",
    [
        {"shift": 0},
        {"shift": {}},
        {"shift": {4: float("nan")}},
        {"sigmas": (0.5, 0.7)},
        {"sigmas": (1.0, 0.0)},
        {"noise_scale": {0: 1.0}},
        {"noise_scale": {4: -1.0}},
    ],
)
def test_bad_grids_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(UserError):
        Grid(**options)  # type: ignore[arg-type]
