"""An inverse-dynamics net: which keys were held, judged from pictures alone. Trained on real frames only.

It looks at a square of pixels around the player in a few frames before and after. What it recovers from
dreamt frames, against what it recovers from real ones, says whether a dream obeys its keys.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.measure import player_place

BEFORE, AFTER, HALF = 3, 2, 12  # frames around the action's own, and half the side of the square


def examples(frames_NTPPC: Frames, actions_NT: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    """Crops uint8 (M, frames * 3, side, side) and labels (M,) of every frame with a player and neighbours."""
    crops, labels = [], []
    for frames, actions in zip(frames_NTPPC, actions_NT, strict=True):
        places = player_place(frames)
        padded = np.pad(frames, ((0, 0), (HALF, HALF), (HALF, HALF), (0, 0)), mode="edge")
        for t in range(BEFORE, len(frames) - AFTER):
            if np.isnan(places[t - 1]).any():
                continue
            x, y = np.rint(places[t - 1]).astype(int)
            crop = padded[t - BEFORE : t + AFTER + 1, y : y + 2 * HALF, x : x + 2 * HALF]
            crops.append(np.concatenate(list(crop.transpose(0, 3, 1, 2))))
            labels.append(actions[t])
    if not crops:
        side = 2 * HALF
        return torch.zeros(0, 3 * (BEFORE + AFTER + 1), side, side, dtype=torch.uint8), torch.zeros(0).long()
    return torch.from_numpy(np.stack(crops)), torch.tensor(np.array(labels)).long()


class Inverse(nn.Module):
    """Four convolutions and a linear layer."""

    def __init__(self, actions: int = 9, width: int = 48) -> None:
        super().__init__()
        inputs = 3 * (BEFORE + AFTER + 1)
        self.body = nn.Sequential(
            nn.Conv2d(inputs, width, 3, padding=1), nn.ReLU(), nn.Conv2d(width, width, 3, stride=2, padding=1),
            nn.ReLU(), nn.Conv2d(width, 2 * width, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(),
        )  # fmt: skip
        self.head = nn.Linear(2 * width * (HALF // 4) ** 2, actions)

    def forward(self, crops_MCHW: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(crops_MCHW.float() / 127.5 - 1.0))
        return out


def fit(crops: Tensor, labels: Tensor, steps: int = 700, size: int = 128, seed: int = 0) -> Inverse:
    """Train on examples of real play."""
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = Inverse()
    optimiser = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=0.05)
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 2e-3 * min(1.0, (steps - step) / (0.5 * steps))
        pick = torch.randint(len(crops), (size,), generator=generator)
        loss = F.cross_entropy(net(crops[pick]), labels[pick])
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return net.eval()


@torch.inference_mode()
def accuracy(net: Inverse, crops: Tensor, labels: Tensor) -> float:
    """Share of the examples whose keys are recovered; NaN without examples."""
    if not len(crops):
        return float("nan")
    guesses = torch.cat([net(part).argmax(1) for part in crops.split(512)])
    return float((guesses == labels).float().mean())
