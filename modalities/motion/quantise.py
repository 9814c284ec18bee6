"""Residual vector quantisation: a latent as one code per level, each level coding what the levels before left over.

Codebooks follow the data by moving averages (van den Oord et al. 2017, appendix A.1; residual levels as in SoundStream,
Zeghidour et al. 2021, algorithm 1). Every level stretches its residual by learned factors before it looks codes up,
for what is left grows smaller from level to level: MOGO's scaling (2506.05952, MoSA-VQ).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

DECAY = 0.99
DEAD = 0.1  # a code used less than so many times a batch, on average, begins anew


class Coded(NamedTuple):
    """Latents (..., D) as their codes stand for them (with straight-through gradients), codes (..., Q), commitment."""

    latents: Tensor
    codes: Tensor
    commitment: Tensor


class ResidualQuantiser(nn.Module):
    """``levels`` codebooks of ``codes`` vectors of ``width``."""

    books: Tensor
    counts: Tensor
    begun: Tensor

    def __init__(self, levels: int, codes: int, width: int) -> None:
        super().__init__()
        self.levels, self.codes = levels, codes
        self.stretch = nn.Parameter(torch.zeros(levels, width))  # natural logarithms
        self.register_buffer("books", torch.randn(levels, codes, width) * width**-0.5)
        self.register_buffer("counts", torch.ones(levels, codes))
        self.register_buffer("begun", torch.tensor(False))

    def forward(self, latents_BTD: Tensor, generator: torch.Generator | None = None, dropout: float = 0.0) -> Coded:
        """Quantise; in training the codebooks move, and a share of samples (``dropout``) is left with a few levels."""
        keep = self._kept_levels(len(latents_BTD), dropout, generator).to(latents_BTD.device)
        if self.training and not self.begun:
            self._begin(latents_BTD, generator)
        left, total = latents_BTD, torch.zeros_like(latents_BTD)
        commitment, codes = latents_BTD.new_zeros(()), []
        for level in range(self.levels):
            factor = self.stretch[level].exp()
            scaled = (left * factor).detach()
            code = self._nearest(level, scaled)
            part = self.books[level][code] / factor
            told = (keep > level).to(left)[:, None, None]
            if self.training:
                self._follow(level, scaled, code, generator)
            commitment = commitment + ((left - part.detach()).square() * told).mean()
            total, left = total + part * told, left - part.detach()
            codes.append(code)
        through = latents_BTD + (total - latents_BTD).detach() + (total - total.detach())
        return Coded(through, torch.stack(codes, -1), commitment / self.levels)

    def encode(self, latents_BTD: Tensor) -> Tensor:
        """Codes (B, T, Q)."""
        left, codes = latents_BTD, []
        for level in range(self.levels):
            factor = self.stretch[level].exp()
            codes.append(self._nearest(level, left * factor))
            left = left - self.books[level][codes[-1]] / factor
        return torch.stack(codes, -1)

    def decode(self, codes_BTQ: Tensor) -> Tensor:
        """The latents (B, T, D) that codes stand for."""
        parts = [self.books[q][codes_BTQ[..., q]] / self.stretch[q].exp() for q in range(self.levels)]
        return torch.stack(parts).sum(0)

    def _nearest(self, level: int, latents: Tensor) -> Tensor:
        book = self.books[level]
        return (latents @ book.T * 2 - book.square().sum(-1)).argmax(-1)

    def _kept_levels(self, samples: int, dropout: float, generator: torch.Generator | None) -> Tensor:
        if not (self.training and dropout):
            return torch.full((samples,), self.levels)
        few = torch.randint(1, self.levels + 1, (samples,), generator=generator)
        return torch.where(torch.rand(samples, generator=generator) < dropout, few, self.levels)

    @torch.no_grad()
    def _begin(self, latents_BTD: Tensor, generator: torch.Generator | None) -> None:
        """Codebooks out of the first batch, and factors that make what is left of it as wide as what came."""
        left = latents_BTD.flatten(0, -2)
        spread = left.std().clamp_min(1e-6)
        for level in range(self.levels):
            self.stretch[level] = (spread / left.std().clamp_min(1e-6)).log().clamp(0, 6)
            scaled = left * self.stretch[level].exp()
            self.books[level] = _drawn(scaled, self.codes, generator)
            left = left - self.books[level][self._nearest(level, scaled)] / self.stretch[level].exp()
        self.begun.fill_(True)

    @torch.no_grad()
    def _follow(self, level: int, latents_BTD: Tensor, code_BT: Tensor, generator: torch.Generator | None) -> None:
        """Move the codes towards what they were chosen for; codes that nobody chooses become somebody's."""
        flat, chosen = latents_BTD.flatten(0, -2), code_BT.flatten()
        count = torch.bincount(chosen, minlength=self.codes).to(flat)
        sums = torch.zeros_like(self.books[level]).index_add_(0, chosen, flat)
        kept = self.books[level] * self.counts[level, :, None] * DECAY + sums * (1 - DECAY)
        self.counts[level] = self.counts[level] * DECAY + count * (1 - DECAY)
        self.books[level] = kept / self.counts[level, :, None].clamp_min(1e-5)
        dead = self.counts[level] < DEAD
        if dead.any():
            self.books[level, dead] = _drawn(flat, int(dead.sum()), generator)
            self.counts[level, dead] = 1.0


def _drawn(rows_ND: Tensor, count: int, generator: torch.Generator | None) -> Tensor:
    """So many of the rows, a little moved, so that no two are the same."""
    picked = rows_ND[torch.randint(len(rows_ND), (count,), generator=generator)]
    return picked + 0.01 * rows_ND.std().clamp_min(1e-6) * torch.randn(picked.shape, generator=generator)
