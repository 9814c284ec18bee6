"""DPM-Solver++(2M): second order from the previous clean prediction (Lu et al. 2022, algorithm 2).

In flow form alpha = t, sigma = 1 - t and lambda = log(t / (1 - t)).
"""

from __future__ import annotations

import math

from torch import Tensor

from unreel.engine.interfaces import Memory, Noise


class Multistep:
    """Second order; its memory is the chunk's last clean prediction and that prediction's lambda."""

    def step(self, state: Tensor, clean: Tensor, t_from: float, t_to: float, memory: Memory, noise: Noise) -> Tensor:
        previous = memory.get("clean")
        lam = math.log(t_from / (1.0 - t_from)) if t_from > 0 else -math.inf
        memory_lam = float(memory.get("lambda", -math.inf))
        memory["clean"], memory["lambda"] = clean, lam
        if t_to >= 1.0:
            return clean
        target = clean
        h = math.log(t_to / (1.0 - t_to)) - lam
        if previous is not None and math.isfinite(memory_lam) and math.isfinite(h):
            ratio = (lam - memory_lam) / h
            target = clean + (clean - previous) / (2.0 * ratio)
        keep = (1.0 - t_to) / (1.0 - t_from)
        return keep * state + (t_to - keep * t_from) * target
