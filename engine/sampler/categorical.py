"""Tokens: one of K drawn from scores (Gumbel 1954: the largest of score plus noise is a draw from their softmax).

The noise is the chunk's own normal noise, turned into Gumbel noise, so what is drawn depends on the session's seed and
the chunk alone. ``top_p`` leaves the likeliest tokens that together have this share (Holtzman et al. 2020, eq. 2).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.interfaces import Memory, Noise


@dataclass(frozen=True)
class Categorical:
    """``temperature`` 0 always takes the likeliest token. For networks that draw within their pass (``draws``)."""

    temperature: float = 1.0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        if self.temperature < 0:
            raise UserError(f"temperature must be 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p is a share above 0 and at most 1, got {self.top_p}")

    def draw(self, scores_K: Tensor, noise_K: Tensor) -> Tensor:
        """The number of the token that standard normal ``noise`` picks, a tensor without axes."""
        if self.temperature == 0:
            return scores_K.argmax()
        scores = scores_K.float() / self.temperature
        if self.top_p < 1:
            scores = self._likeliest(scores)
        uniform = torch.special.ndtr(noise_K.to(scores.device, torch.float64)).clamp(1e-12, 1 - 1e-12)
        token: Tensor = (scores - (-uniform.log()).log()).argmax()
        return token

    def _likeliest(self, scores_K: Tensor) -> Tensor:
        """The scores, those of unlikely tokens minus infinity; the likeliest one always stays."""
        share, order = scores_K.softmax(-1).sort(descending=True)
        unlikely = share.cumsum(-1) - share >= self.top_p
        left: Tensor = scores_K.masked_fill(torch.zeros_like(unlikely).scatter(-1, order, unlikely), float("-inf"))
        return left

    def step(self, state: Tensor, clean: Tensor, t_from: float, t_to: float, memory: Memory, noise: Noise) -> Tensor:
        """The prediction at the last step; until then the noise stays as it is, for the draws are made from it."""
        return clean if t_to >= 1.0 else state
