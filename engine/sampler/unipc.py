"""UniPC of order 2 (Zhao et al. 2023, algorithms 5 and 6, B(h) = e^h - 1): what SkyReels-V2 is sampled with.

A step first corrects the state it was given, now that the prediction there is known, then predicts the next one. In
flow form alpha = t, sigma = 1 - t, lambda = log(t / (1 - t)), and the solution of the linear part over a step h is
``x * sigma' / sigma + alpha' * (1 - e^-h) * clean``; all else are differences of clean predictions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from unreel.engine.interfaces import Memory, Noise


class UniPC:
    """Memory: the state and time before the last step, the clean predictions there and one step earlier."""

    def step(self, state: Tensor, clean: Tensor, t_from: float, t_to: float, memory: Memory, noise: Noise) -> Tensor:
        if "state" in memory:
            state = self._correct(memory, clean, t_from)
        earlier, time_earlier = memory.get("clean"), memory.get("time")
        memory.update(state=state, clean=clean, time=t_from)
        memory.pop("earlier", None)
        if earlier is not None:
            memory.update(earlier=earlier, time_earlier=time_earlier)
        if t_to >= 1.0:
            return clean
        out, gain, h = _linear(state, clean, t_from, t_to)
        if earlier is not None and time_earlier is not None and time_earlier > 0:
            ratio = (_lambda(time_earlier) - _lambda(t_from)) / h
            out = out + 0.5 * gain / ratio * (earlier - clean)
        return out

    def _correct(self, memory: Memory, clean: Tensor, t_now: float) -> Tensor:
        """The state at ``t_now`` again, from the one before it and the predictions at both ends."""
        before: Tensor = memory["clean"]
        earlier: Tensor | None = memory.get("earlier")
        out, gain, h = _linear(memory["state"], before, memory["time"], t_now)
        if earlier is None or memory["time_earlier"] <= 0:
            return out + 0.5 * gain * (clean - before)
        ratio = (_lambda(memory["time_earlier"]) - _lambda(memory["time"])) / h
        first, second = _weights(h, ratio)
        return out + gain * (first / ratio * (earlier - before) + second * (clean - before))


def _lambda(t: float) -> float:
    return math.log(t / (1.0 - t)) if t > 0 else -math.inf


def _linear(state: Tensor, clean: Tensor, t_from: float, t_to: float) -> tuple[Tensor, float, float]:
    """The first-order step, the gain ``alpha' * (1 - e^-h)`` and h, which is infinite from pure noise."""
    h = _lambda(t_to) - _lambda(t_from)
    gain = -t_to * math.expm1(-h)
    return (1.0 - t_to) / (1.0 - t_from) * state + gain * clean, gain, h


def _weights(h: float, ratio: float) -> tuple[float, float]:
    """Weights of the two differences: the solution of the order conditions (equation 10 of the paper)."""
    scale = math.expm1(-h)
    phi = scale / -h - 1.0
    b = torch.tensor([phi / scale, 2.0 * (phi / -h - 0.5) / scale], dtype=torch.float64)
    first, second = torch.linalg.solve(torch.tensor([[1.0, 1.0], [ratio, 1.0]], dtype=torch.float64), b).tolist()
    return first, second
