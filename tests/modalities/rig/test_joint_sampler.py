"""The sampler of joints: a flow for positions, a choice for all else."""

from __future__ import annotations

import pytest
import torch

from unreel.engine.errors import UserError
from unreel.modalities.rig.joint import NEVER
from unreel.modalities.rig.sampler import JointSampler

CLEAN = torch.tensor([[1.0, 2.0, 3.0, -0.5, NEVER, 2.0, 1.0, NEVER]])
NOISE = torch.tensor([[0.5, 0.5, 0.5, 9.0, 9.0, 9.0, 9.0, 9.0]])


def noise() -> torch.Tensor:
    return torch.randn(CLEAN.shape)


def test_positions_go_straight_to_the_clean_one() -> None:
    state = JointSampler().step(NOISE, CLEAN, 0.0, 0.5, {}, noise)
    assert state[0, :3].tolist() == [0.75, 1.25, 1.75]
    assert torch.equal(state[0, 3:], NOISE[0, 3:])
    assert JointSampler(spread=0.0).step(NOISE, CLEAN, 0.0, 0.5, {}, noise)[0, :3].tolist() == [0.5, 1.0, 1.5]
    assert torch.equal(JointSampler(spread=0.0).step(NOISE, CLEAN, 0.5, 0.75, {}, noise)[0, :1], torch.tensor([0.75]))


def test_the_last_step_takes_what_is_likeliest() -> None:
    state = JointSampler().step(NOISE, CLEAN, 0.75, 1.0, {}, noise)
    assert state.tolist() == [[1, 2, 3, -1, 0, 1, 0, 0]]


def test_a_temperature_draws_by_probability() -> None:
    torch.manual_seed(0)
    sampler = JointSampler(temperature=1.0)
    drawn = torch.cat([sampler.step(NOISE, CLEAN, 0.75, 1.0, {}, noise) for _ in range(2000)])
    shares = drawn[:, 4:].mean(0)
    assert shares[[0, 3]].tolist() == [0, 0]
    assert float(shares[1]) == pytest.approx(torch.sigmoid(torch.tensor(1.0)).item(), abs=0.03)
    assert float((drawn[:, 3] > 0).float().mean()) == pytest.approx(torch.sigmoid(torch.tensor(-0.5)).item(), abs=0.03)


def test_options_are_checked() -> None:
    with pytest.raises(UserError, match="temperature"):
        JointSampler(temperature=-1)
    with pytest.raises(UserError, match="spread"):
        JointSampler(spread=2)
