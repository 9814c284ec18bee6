"""What a training step of `dream` weighs and spoils: at which times it learns, which pixels count, sprites that fade.

Letters: B sequences, C chunks, T frames, P pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def noisy_times(sequences: int, chunks: int, generator: torch.Generator, start_share: float = 0.4) -> Tensor:
    """Times (B, C) to learn at: ``start_share`` at pure noise, where only the past tells; the rest logit-normal.

    What happens next is nearly certain in this world, so foretelling it is most of what there is to learn.
    """
    normal = torch.randn(sequences, chunks, generator=generator)
    start = torch.rand(sequences, chunks, generator=generator) < start_share
    return torch.where(start, torch.zeros(()), torch.sigmoid(1.3 * normal - 0.6))


def pixel_weights(
    moving_BT1PP: Tensor, player_BT1PP: Tensor, fish_BT1PP: Tensor, peak: float, player_peak: float, entry: float
) -> Tensor:
    """How much each pixel counts (B, T, 1, P, P): ``peak`` near what moves, more near the player, 1 elsewhere.

    The masks are of what moves and of the player, real or as the network saw them, and of real fish. Only earlier
    frames decide: a weight that knew the answer would bias the prediction towards things that may appear.
    The chunk's first frame looks one frame back, its second two.
    At the left and right edges, where fish come in, that bias is wanted: a sampler of few steps stays too near
    to the average and lets too few in. A fish there counts ``entry`` times, and so does the player: half out of the
    picture it would be the cheaper of the two to lose.
    """
    anchor = torch.arange(moving_BT1PP.shape[1]) // 2 * 2 - 1  # the last frame of the chunk before
    known = (anchor >= 0).float()[:, None, None, None]
    near, own = (widened(mask, 4)[:, anchor.clamp(min=0)] * known for mask in (moving_BT1PP, player_BT1PP))
    edge = torch.zeros(near.shape[-1])
    edge[:6] = edge[-6:] = 1.0
    weights = torch.maximum(1 + (peak - 1) * near, 1 + (peak / 2 - 1) * edge * known) + (player_peak - peak) * own
    return weights * (1 + (entry - 1) * edge * torch.maximum(fish_BT1PP, own))


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
