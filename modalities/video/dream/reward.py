"""What a stretch of play is worth, judged from its pictures: fish eaten, the chance of being eaten, what will follow.

Letters: B samples, T frames, P pixels a side, C channels, S side of the square that is looked at. A sample is the last
frame before a chunk and the chunk's own two frames. The head sees them around the player's place in the first, and of
the colours only what is fish and what is player: so it judges a dream as it judges the game.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from unreel.engine.errors import UserError
from unreel.engine.weights import fill, read_tensors
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.measure import player_mask, player_place

SEEN = 3  # frames of a sample
CHANNELS = 2 * SEEN + 1
HALF = 24  # half the side of the square, in pixels
PINK = 80.0  # how much more red and blue than green makes a pixel a fish for certain
START = (14.0, 58.0)  # (x, y) where episodes begin; taken for the place of a player that is not seen
DISCOUNT = 0.95  # per chunk, of the value


class Judged(NamedTuple):
    """Of each sample (B,), float32: expected reward of the chunk, probability that the episode ended in it, and value:
    the discounted reward that the play learned from earned afterwards, given that it did not end."""

    reward: Tensor
    ended: Tensor
    value: Tensor


def around_player(frames_BTPPC: Frames) -> Tensor:
    """What the head sees, uint8 (B, 7, S, S): fish and player in each of the 3 frames, and what lies in the picture."""
    red, green, blue = (frames_BTPPC[..., c].astype(np.int16) for c in range(3))
    fish = (np.clip((np.minimum(red, blue) - green) / PINK, 0, 1) * 255).astype(np.uint8)
    player = player_mask(frames_BTPPC).astype(np.uint8) * 255
    inside = np.full_like(fish[:, :1], 255)
    seen = np.concatenate([fish, player, inside], axis=1)
    padded = np.pad(seen, ((0, 0), (0, 0), (HALF, HALF), (HALF, HALF)))
    places = player_place(frames_BTPPC[:, 0])
    corners = np.rint(np.where(np.isnan(places), START, places)).astype(int)
    cut = [p[:, y : y + 2 * HALF, x : x + 2 * HALF] for p, (x, y) in zip(padded, corners, strict=True)]
    return torch.from_numpy(np.stack(cut)) if cut else torch.zeros(0, CHANNELS, 2 * HALF, 2 * HALF, dtype=torch.uint8)


class RewardHead(nn.Module):
    """Four convolutions and two linear layers, 0.2 M parameters."""

    def __init__(self, width: int = 24) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        sizes = ((CHANNELS, width, 2), (width, 2 * width, 2), (2 * width, 2 * width, 1), (2 * width, 2 * width, 2))
        for before, after, stride in sizes:
            layers += [nn.Conv2d(before, after, 3, stride, 1), nn.SiLU()]
        self.body = nn.Sequential(*layers, nn.Flatten())
        self.head = nn.Sequential(nn.Linear(2 * width * (HALF // 4) ** 2, 96), nn.SiLU(), nn.Linear(96, 3))

    def forward(self, seen_BCSS: Tensor) -> Tensor:
        """Raw answers (B, 3) of what ``around_player`` gives: log of the reward, logit of the end, value."""
        out: Tensor = self.head(self.body(seen_BCSS.float() / 255.0))
        return out

    @torch.inference_mode()
    def judge(self, seen_BCSS: Tensor) -> Judged:
        """Rewards, probabilities of the end and values, 512 samples at a time."""
        answers = torch.cat([self(part) for part in seen_BCSS.split(512)]).float()
        return Judged(answers[:, 0].clamp(max=1.0).exp(), answers[:, 1].sigmoid(), answers[:, 2].clamp(min=0.0))


def load_head(path: Path) -> RewardHead:
    """The head of a file.

    Raises:
        UserError: no such file, or not the weights of a reward head.
    """
    tensors = read_tensors(path)
    if "body.0.weight" not in tensors:
        raise UserError(f"{path} holds no reward head; `unreel train dream --reward` makes one")
    head = RewardHead(width=len(tensors["body.0.weight"]))
    fill(head, tensors, path)
    return head.requires_grad_(False).eval()
