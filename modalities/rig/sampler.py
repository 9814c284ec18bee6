"""Per-token diffusion: the position is denoised step by step, what the joint hangs on is chosen at the last one.

Siblings come in no order, so where the next joint is has several right answers; a flow (Liu et al. 2022) picks one of
them, where a regression would give their mean (RigAnything, arXiv 2502.09615, after MAR, Li et al. 2024).
"""

from __future__ import annotations

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.interfaces import Memory, Noise
from unreel.modalities.rig.joint import FIXED


class JointSampler:
    """Euler on the three position channels; then end or not, and the parent, drawn at ``temperature`` (0: likeliest).

    ``spread`` below 1 shrinks the noise that positions begin with, towards what is likeliest.
    """

    def __init__(self, temperature: float = 0.0, spread: float = 1.0) -> None:
        if temperature < 0 or not 0 <= spread <= 1:
            raise UserError(f"temperature is 0 or more and spread 0 to 1, got {temperature} and {spread}")
        self.temperature, self.spread = temperature, spread

    def step(self, state: Tensor, clean: Tensor, t_from: float, t_to: float, memory: Memory, noise: Noise) -> Tensor:
        if t_to >= 1.0:
            return self._decided(clean, noise)
        begin = state[..., :3] * (self.spread if t_from == 0 else 1.0)
        moved = begin + (t_to - t_from) / (1.0 - t_from) * (clean[..., :3] - begin)
        return torch.cat((moved, state[..., 3:]), -1)

    def _decided(self, clean: Tensor, noise: Noise) -> Tensor:
        """The clean state: position, the end as 1 or -1, the parent as one 1 among zeros."""
        end, parents = clean[..., 3:FIXED], clean[..., FIXED:]
        if self.temperature > 0:
            chance = torch.special.ndtr(noise().double()).clamp(1e-12, 1 - 1e-12).to(clean.device)
            end = end + self.temperature * torch.logit(chance[..., 3:FIXED])
            parents = parents - self.temperature * (-chance[..., FIXED:].log()).log()  # Gumbel-max
        chosen = torch.nn.functional.one_hot(parents.argmax(-1), parents.shape[-1]).to(clean.dtype)
        return torch.cat((clean[..., :3], torch.where(end > 0, 1.0, -1.0).to(clean.dtype), chosen), -1)
