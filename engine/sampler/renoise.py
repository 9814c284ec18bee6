"""Few-step renoise: jump to the clean prediction, then noise it again (consistency sampling, Self-Forcing)."""

from __future__ import annotations

from torch import Tensor

from unreel.engine.interfaces import Memory, Noise


class Renoise:
    """Fresh noise at every step but the last; for distilled few-step models."""

    def step(self, state: Tensor, clean: Tensor, t_from: float, t_to: float, memory: Memory, noise: Noise) -> Tensor:
        if t_to >= 1.0:
            return clean
        return t_to * clean + (1.0 - t_to) * noise()
