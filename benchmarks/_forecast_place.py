"""Where the player is, read off a picture: for `dream` by its colour, for others by a network taught with real frames.

Letters: N frames, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from unreel.benchmarks._forecast_clips import Array, Given
from unreel.engine.errors import UserError
from unreel.modalities.video.dream.measure import player_place
from unreel.modalities.world.codec import to_pixels

STEPS, BATCH, FRAMES = 1500, 64, 30_000  # of training; frames taught with, at most


@dataclass(frozen=True)
class Reader:
    """Frames (N, H, W, 3) to places (N, 2), NaN where nobody is seen."""

    read: Callable[[Array], Array]
    about: str

    def __call__(self, frames_NHW3: Array) -> Array:
        return self.read(frames_NHW3)


def reader(given: Given) -> Reader:
    """Never shown a forecast, nor a held-out frame."""
    if given.clips.data is None:
        return Reader(player_place, "the player's colour")
    frames, places = _real(given.clips.data)
    net = taught(frames, places, 60 if given.quick else STEPS)
    return Reader(net, f"a regressor taught with {len(frames)} real training frames")


def _real(folder: Path) -> tuple[Array, NDArray[np.float32]]:
    """Training frames and where the player is in them, equally many of every shard."""
    paths = sorted(folder.glob("train*.npz"))
    if not paths:
        raise UserError(f"no train*.npz in {folder}: what reads the player's place learns from real training frames")
    frames, places = [], []
    for path in paths:
        with np.load(path) as shard:
            place = shard["place"][:, :2]
            picked = np.linspace(0, len(place) - 1, min(len(place), max(1, FRAMES // len(paths)))).astype(int)
            frames.append(shard["frames"][picked])
            places.append(place[picked])
    return np.concatenate(frames), np.concatenate(places)


def taught(frames_NHW3: Array, places_N2: NDArray[np.float32], steps: int) -> Callable[[Array], Array]:
    """A small convolutional network that tells the place, least absolute error, Adam."""
    middle, spread = places_N2.mean(0), places_N2.std(0) + 1e-6
    wanted = torch.from_numpy((places_N2 - middle) / spread).float()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = nn.Sequential(
            *(
                part
                for c, d in ((3, 24), (24, 48), (48, 96), (96, 128))
                for part in (nn.Conv2d(c, d, 3, stride=2, padding=1), nn.SiLU())
            ),
            nn.Flatten(), nn.LazyLinear(256), nn.SiLU(), nn.Linear(256, 2),
        )  # fmt: skip
        net(to_pixels(torch.from_numpy(frames_NHW3[:1])))
        optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
        rates = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        rng = np.random.default_rng(0)
        for _ in range(steps):
            picked = np.sort(rng.integers(0, len(frames_NHW3), BATCH))
            loss = F.l1_loss(net(to_pixels(torch.from_numpy(frames_NHW3[picked]))), wanted[picked])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rates.step()

    def read(frames: Array) -> Array:
        with torch.inference_mode():
            found: Tensor = net(to_pixels(torch.from_numpy(np.ascontiguousarray(frames))))
        return np.asarray(found.numpy() * spread + middle)

    return read
