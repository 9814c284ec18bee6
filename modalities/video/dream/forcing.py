"""What a training step shows the network: noisy chunks, each with the chunks before it as its context.

Every sequence runs as two sets of rows in one pass: *context* rows (chunks 0..C-2, clean or nearly so)
whose keys and values are all that is used of them, and *noisy* rows (chunks 0..C-1), each of which sees the
context rows of the chunks before it and itself. So every noisy chunk trains under exactly the conditions of
generation, and a share of noisy context rows (diffusion forcing, Chen et al. 2024) teaches pipelined schedules.

Letters: B sequences, C chunks (in shapes of sequences), R rows, L tokens, H heads, D head width.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from unreel.engine.rope import Rope, rotate


class TwinView:
    """Attention of both sets of rows, context rows first: a View for one training pass."""

    def __init__(self, sequences: int, chunks: int, coords_LA: Tensor, rope: Rope, span: int) -> None:
        self.sequences, self.chunks = sequences, chunks
        times = torch.arange(chunks) * span
        placed = coords_LA[None].repeat(chunks, 1, 1)
        placed[..., 0] += times[:, None]
        cos, sin = rope.angles(placed[:, :, None, :])  # (C, L, 1, D/2)
        order = torch.cat(
            (torch.arange(chunks - 1).repeat(sequences), torch.arange(chunks).repeat(sequences))
        )  # chunk of every row
        self.angles = cos[order], sin[order]

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
    return (weights @ v).transpose(1, 2)


def context_times(sequences: int, chunks: int, generator: torch.Generator) -> Tensor:
    """Times (B, C) of the context: mostly exactly clean, some lightly noisy, some at any level."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    kind = uniform(sequences, 1)
    light, wild = 1 - 0.3 * uniform(sequences, chunks) ** 2, uniform(sequences, chunks)
    return torch.where(kind < 0.55, torch.ones(()), torch.where(kind < 0.8, light, wild))


def noisy_times(sequences: int, chunks: int, generator: torch.Generator, start_share: float = 0.4) -> Tensor:
    """Times (B, C) to learn at: ``start_share`` at pure noise, where only the past tells; the rest logit-normal.

    What happens next is nearly certain in this world, so foretelling it is most of what there is to learn.
    """
    normal = torch.randn(sequences, chunks, generator=generator)
    start = torch.rand(sequences, chunks, generator=generator) < start_share
    return torch.where(start, torch.zeros(()), torch.sigmoid(1.3 * normal - 0.6))


def mix(clean: Tensor, noise: Tensor, times: Tensor) -> Tensor:
    """States at ``times`` (leading axes): ``t * clean + (1 - t) * noise``."""
    t = times.reshape(*times.shape, *[1] * (clean.ndim - times.ndim))
    return t * clean + (1 - t) * noise


def pixel_weights(
    moving_BT1PP: Tensor, player_BT1PP: Tensor, fish_BT1PP: Tensor, peak: float, player_peak: float, entry: float
) -> Tensor:
    """How much each pixel counts (B, T, 1, P, P): ``peak`` near what moves, more near the player, 1 elsewhere.

    The masks are of what moves and of the player, real or as the network saw them, and of real fish. Only earlier
    frames decide: a weight that knew the answer would bias the prediction towards things that may appear.
    The chunk's first frame looks one frame back, its second two.
    At the left and right edges, where fish come in, that bias is wanted: a sampler of few steps stays too near
    to the average and lets too few in. A fish there counts ``entry`` times.
    """
    anchor = torch.arange(moving_BT1PP.shape[1]) // 2 * 2 - 1  # the last frame of the chunk before
    known = (anchor >= 0).float()[:, None, None, None]
    near, own = (widened(mask, 4)[:, anchor.clamp(min=0)] * known for mask in (moving_BT1PP, player_BT1PP))
    edge = torch.zeros(near.shape[-1])
    edge[:6] = edge[-6:] = 1.0
    weights = torch.maximum(1 + (peak - 1) * near, 1 + (peak / 2 - 1) * edge * known) + (player_peak - peak) * own
    return weights * (1 + (entry - 1) * edge * fish_BT1PP)


def widened(mask_BT1PP: Tensor, by: int) -> Tensor:
    """A mask (B, T, 1, P, P) grown by ``by`` pixels to every side."""
    return F.max_pool2d(mask_BT1PP.flatten(0, 1), 2 * by + 1, stride=1, padding=by).unflatten(0, mask_BT1PP.shape[:2])


def faded(frames_BT3PP: Tensor, backdrop: Tensor, generator: torch.Generator, least: float = 0.25) -> Tensor:
    """Frames whose sprites are pale and soft, here more, there less: what a long dream makes of them.

    From a random frame on, by patches that stay; ``least`` is the strongest fading. As context of real chunks,
    it teaches to bring back what is fading.
    """

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    batch, frames = frames_BT3PP.shape[:2]
    patches = F.interpolate(uniform(batch, 1, 4, 4), size=frames_BT3PP.shape[-2:], mode="bilinear")[:, None]
    begin = (uniform(batch, 1) * 2 - 1) * frames
    on = (torch.arange(frames) >= begin).float()[..., None, None, None]
    strength = 1 - on * (1 - least) * (1 - patches)
    sprites = frames_BT3PP - backdrop
    soft = F.avg_pool2d(sprites.flatten(0, 1), 3, stride=1, padding=1, count_include_pad=False).view_as(sprites)
    return backdrop + strength * torch.lerp(sprites, soft, on * uniform(batch, 1, 1, 1, 1))


def border_weights(corner: tuple[int, int], side: int, whole: int, unit: int, margin: int = 5) -> Tensor:
    """Zero (P, P) within ``margin`` pixels of those edges of a crop that are no edges of the world.

    ``corner``, ``side`` and ``whole`` count tokens of ``unit`` pixels. What swims in there cannot be known.
    """
    weights = torch.ones(side * unit, side * unit)
    for axis, begin in enumerate(corner):
        if begin > 0:
            weights.narrow(axis, 0, margin).zero_()
        if begin + side < whole:
            weights.narrow(axis, side * unit - margin, margin).zero_()
    return weights
