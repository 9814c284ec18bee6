from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from unreel.engine.sampler.unipc import UniPC


def velocity(x: Tensor, sigma: float) -> Tensor:
    """A network that is wrong in a smooth way: noise - clean of a nonlinear guess."""
    clean = torch.tanh(0.7 * x + sigma) * (1 - 0.3 * sigma)
    return (x - clean) / sigma


def ours(x: Tensor, sigmas: list[float]) -> Tensor:
    sampler, memory = UniPC(), {}
    for a, b in zip(sigmas, [*sigmas[1:], 0.0], strict=True):
        clean = x - a * velocity(x, a)
        before = x.clone()
        after = sampler.step(x, clean, 1 - a, 1 - b, memory, lambda x=x: x)
        assert torch.equal(x, before)
        x = after
    return x


@pytest.mark.parametrize("steps", [1, 2, 3, 10, 50])
@pytest.mark.parametrize("shift", [1.0, 8.0])
def test_equals_diffusers_unipc_of_flow_models(steps: int, shift: float) -> None:
    diffusers: Any = pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")
    theirs = diffusers.UniPCMultistepScheduler(
        prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=shift, solver_order=2
    )
    theirs.set_timesteps(steps)
    start = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0)).double()
    sigmas = [float(s) for s in theirs.sigmas[:-1]]
    x = start
    for t, sigma in zip(theirs.timesteps, sigmas, strict=True):
        x = theirs.step(velocity(x, sigma), t, x, return_dict=False)[0]
    assert torch.allclose(ours(start, sigmas), x, atol=1e-5)


def test_begins_from_pure_noise_and_ends_at_the_prediction() -> None:
    x = ours(torch.randn(4, generator=torch.Generator().manual_seed(1)).double(), [1.0, 0.8, 0.5, 0.2])
    assert torch.isfinite(x).all()
    assert ours(torch.ones(3).double(), [1.0]).tolist() == pytest.approx([math.tanh(1.7) * 0.7] * 3)


def test_is_of_second_order() -> None:
    """Halving the steps divides the error by about four."""
    start = torch.randn(64, generator=torch.Generator().manual_seed(2)).double()

    def run(n: int) -> Tensor:
        return ours(start, [0.9 - 0.85 * k / n for k in range(n)] + [0.05])

    exact = run(1024)
    errors = [(run(n) - exact).norm().item() for n in (16, 32, 64)]
    assert errors[0] / errors[1] > 3
    assert errors[1] / errors[2] > 3
