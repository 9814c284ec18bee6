"""Where the player is, read off a film: for `dream` by its colour; for others by the motion from frame to frame, which
a network taught with real frames tells, added up from where the player really was when the forecast began.

Letters: N frames, T frames of a film, H and W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from unreel.benchmarks._forecast_clips import Array, Given
from unreel.engine.errors import UserError
from unreel.modalities.video.dream.measure import player_place
from unreel.modalities.world.codec import to_pixels

STEPS, BATCH, FRAMES = 4000, 64, 30_000  # of training; frames taught with, at most


@dataclass(frozen=True)
class Reader:
    """A film (T + 1, H, W, 3) that begins with the last observed frame, and the pose then, to places (T, 2)."""

    read: Callable[[Array, Array], Array]
    about: str

    def __call__(self, film_THW3: Array, pose: Array) -> Array:
        return self.read(film_THW3, pose)


def reader(given: Given) -> Reader:
    """Never shown a forecast, nor a held-out frame."""
    if given.clips.data is None:
        return Reader(lambda film, pose: player_place(film[1:]), "the player's colour, NaN where it is not seen")
    frames, poses, joined = _real(given.clips.data)
    net = taught(frames, poses, joined, 60 if given.quick else STEPS)
    about = f"the motion between frames, told by a regressor taught with {len(joined)} pairs of real training frames"
    return Reader(lambda film, pose: walked(net(film), pose), about)


def _real(folder: Path) -> tuple[Array, Array, Array]:
    """Training frames, poses (N, 3), and the indices of those whose next frame is of the same episode."""
    paths = sorted(folder.glob("train*.npz"))
    if not paths:
        raise UserError(f"no train*.npz in {folder}: what reads the player's place learns from real training frames")
    frames, poses, seeds = [], [], []
    for path in paths:
        with np.load(path) as shard:
            most = max(2, FRAMES // len(paths))
            frames.append(shard["frames"][:most])
            poses.append(shard["place"][:most])
            seeds.append(shard["seed"][:most])
    seed = np.concatenate(seeds)
    return np.concatenate(frames), np.concatenate(poses), np.flatnonzero(seed[1:] == seed[:-1])


def motions(poses_N3: Array) -> Array:
    """Forward and to the left, in the player's own frame, and degrees turned, between neighbours: (N - 1, 3)."""
    ahead = np.deg2rad(poses_N3[:-1, 2])
    dx, dy, turned = np.diff(poses_N3, axis=0).T
    forward, left = dx * np.cos(ahead) + dy * np.sin(ahead), dy * np.cos(ahead) - dx * np.sin(ahead)
    return np.stack([forward, left, (turned + 180) % 360 - 180], axis=1)


def walked(motions_T3: Array, pose: Array) -> Array:
    """The places (T, 2) that motions lead to from a pose (x, y, degrees): `motions` undone."""
    ahead = np.deg2rad(pose[2] + np.concatenate([[0], np.cumsum(motions_T3[:-1, 2])]))
    forward, left = motions_T3[:, 0], motions_T3[:, 1]
    steps = np.stack(
        [forward * np.cos(ahead) - left * np.sin(ahead), forward * np.sin(ahead) + left * np.cos(ahead)], 1
    )
    return np.asarray(pose[:2] + np.cumsum(steps, axis=0))


def taught(frames_NHW3: Array, poses_N3: Array, joined: Array, steps: int) -> Callable[[Array], Array]:
    """A small convolutional network that tells the motions (T, 3) of a film (T + 1, H, W, 3); L1, AdamW."""
    wanted = motions(poses_N3)
    spread = wanted[joined].std(0) + 1e-3
    target = torch.from_numpy(wanted / spread).float()
    sizes = ((6, 24), (24, 48), (48, 96))
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = [part for c, d in sizes for part in (nn.Conv2d(c, d, 3, stride=2, padding=1), nn.SiLU())]
        net = nn.Sequential(*parts, nn.Flatten(), nn.LazyLinear(128), nn.SiLU(), nn.Linear(128, 3))
        net(_pairs(frames_NHW3, np.array([0])))
        optimiser = torch.optim.AdamW(net.parameters(), lr=1e-3)
        rates = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, steps)
        rng = np.random.default_rng(0)
        for _ in range(steps):
            picked = rng.choice(joined, BATCH)
            with torch.autocast("cpu", torch.bfloat16):
                told = net(_pairs(frames_NHW3, picked))
            loss = F.l1_loss(told.float(), target[picked])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            rates.step()

    def read(film: Array) -> Array:
        with torch.inference_mode():
            found: Tensor = net(_pairs(film, np.arange(len(film) - 1)))
        return np.asarray(found.numpy() * spread)

    return read


def _pairs(frames_NHW3: Array, at: Array) -> Tensor:
    """Frames and their successors, (len(at), 6, H, W)."""
    return torch.cat([to_pixels(torch.from_numpy(frames_NHW3[index])) for index in (at, at + 1)], 1)
