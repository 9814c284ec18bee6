"""Flow Euler: a straight line towards the clean prediction (rectified flow, Liu et al. 2022, eq. 1)."""

from __future__ import annotations

from torch import Tensor

from unreel.engine.interfaces import Memory, Noise


class Euler:
    """First order, no memory."""

    def step(self, state: Tensor, clean: Tensor, t_from: float, t_to: float, memory: Memory, noise: Noise) -> Tensor:
        if t_to >= 1.0:
            return clean
        return state + (t_to - t_from) / (1.0 - t_from) * (clean - state)
