"""One training pass over whole sequences, each noisy chunk under exactly the context that it has in generation.

Every sequence runs as two sets of rows: *context* rows (chunks 0..C-2, clean or nearly so) whose keys and values are
all that is used of them, and *noisy* rows (chunks 0..C-1), each of which sees the context rows of the chunks before it
and itself. A share of noisy context rows (diffusion forcing, Chen et al. 2024) teaches pipelined schedules.

Letters: B sequences, C chunks (in shapes of sequences), R rows, L tokens, H heads, D head width.
"""

from __future__ import annotations

import torch
from torch import Tensor

from unreel.engine.rope import Rope, rotate


class TwinView:
    """Attention of both sets of rows, context rows first: a View for one training pass."""

    def __init__(self, sequences: int, chunks: int, coords_LA: Tensor, rope: Rope, span: int) -> None:
        self.sequences, self.chunks = sequences, chunks
        times = torch.arange(chunks) * span
        placed = coords_LA[None].repeat(chunks, 1, 1)
        placed[..., 0] += times[:, None]
        angles = rope.angles(placed[:, :, None, :])  # (C, L, 1, D/2)
        order = torch.cat(
            (torch.arange(chunks - 1).repeat(sequences), torch.arange(chunks).repeat(sequences))
        )  # chunk of every row
        self.angles = angles[order]

    @property
    def context_rows(self) -> int:
        return self.sequences * (self.chunks - 1)

    def attend(self, layer: int, q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor) -> Tensor:
        q, k = rotate(q_RLHD, self.angles), rotate(k_RLHD, self.angles)
        (q_past, k_past, v_past), (q_now, k_now, v_now) = zip(*(self._split(x) for x in (q, k, v_RLHD)), strict=True)
        past, now = [], []
        for c in range(self.chunks):
            now.append(
                _attention(q_now[c], torch.cat((*k_past[:c], k_now[c]), 1), torch.cat((*v_past[:c], v_now[c]), 1))
            )
            if c < self.chunks - 1:
                past.append(_attention(q_past[c], torch.cat(k_past[: c + 1], 1), torch.cat(v_past[: c + 1], 1)))
        return torch.cat((torch.stack(past, 1).flatten(0, 1), torch.stack(now, 1).flatten(0, 1)))

    def _split(self, x_RLHD: Tensor) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        past, now = x_RLHD.split((self.context_rows, self.sequences * self.chunks))
        return past.unflatten(0, (self.sequences, -1)).unbind(1), now.unflatten(0, (self.sequences, -1)).unbind(1)


def _attention(q_BLHD: Tensor, k_BNHD: Tensor, v_BNHD: Tensor) -> Tensor:
    q, k, v = (x.transpose(1, 2) for x in (q_BLHD, k_BNHD, v_BNHD))
    weights = ((q * q.shape[-1] ** -0.5) @ k.transpose(-1, -2)).softmax(-1)
    mixed: Tensor = (weights @ v).transpose(1, 2)
    return mixed


def context_times(sequences: int, chunks: int, generator: torch.Generator) -> Tensor:
    """Times (B, C) of the context: mostly exactly clean, some lightly noisy, some at any level."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    kind = uniform(sequences, 1)
    light, wild = 1 - 0.3 * uniform(sequences, chunks) ** 2, uniform(sequences, chunks)
    return torch.where(kind < 0.55, torch.ones(()), torch.where(kind < 0.8, light, wild))


def mix(clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """States at ``times`` (leading axes): ``t * clean + (1 - t) * noise``."""
    t = times.reshape(*times.shape, *[1] * (clean.ndim - times.ndim))
    return t * clean + (1 - t) * noise
