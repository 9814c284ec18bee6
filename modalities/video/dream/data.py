"""Windows of filmed play: random ones to train on, chosen ones to measure with.

Letters: B windows, T frames. A shard is what `collect.py` writes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.video.dream.measure import player_place

EVERY = 4  # the player's place is known in every fourth frame


@dataclass(frozen=True)
class Shard:
    """Streams of play. ``action[s, t]`` led to ``frames[s, t]``; ``first`` marks the start of an episode."""

    frames: NDArray[np.uint8]  # (stream, time, height, width, 3), mapped from disk
    action: NDArray[np.int8]
    first: NDArray[np.bool_]
    level: NDArray[np.int32]
    places: NDArray[np.float32]  # the player's (x, y) in every EVERY-th frame, NaN where it is not seen


def load_shards(folder: Path, prefix: str = "train") -> list[Shard]:
    """All shards of a folder whose names begin with ``prefix``.

    Raises:
        UserError: there are none.
    """
    shards = []
    for path in sorted(folder.glob(f"{prefix}*.npz")):
        frames = np.load(path.with_suffix(".frames.npy"), mmap_mode="r")
        places = _places(frames, path.with_suffix(".places.npy"))
        with np.load(path) as books:
            shards.append(Shard(frames, books["action"], books["first"], books["level"], places))
    if not shards:
        raise UserError(f"no {prefix}*.npz in {folder}: film the game first (unreel train dream --collect)")
    return shards


class Windows:
    """Random windows of ``length`` frames within one episode, from any stream of any shard.

    Where an episode ends the player vanishes and another appears elsewhere: a network that sees that learns to lose
    its player, and to make a second one (LOG.md, sixth session).

    Raises:
        UserError: no episode is that long.
    """

    def __init__(self, shards: list[Shard], length: int, seed: int = 0) -> None:
        if not any(unbroken(shard, length) for shard in shards):
            raise UserError(f"no episode of {length} frames or more in these shards: film more, or take fewer chunks")
        self.shards, self.length = shards, length
        self.rng = np.random.default_rng(seed)

    def _whole(self, shard: Shard, stream: int, start: int) -> bool:
        """Whether all frames of a window are there and of one episode."""
        later = shard.first[stream, start + 1 : start + self.length]
        return len(later) == self.length - 1 and not later.any()

    def around(self, size: int, top: int, left: int, side: int, margin: int = 7) -> tuple[Tensor, Tensor]:
        """Crops (B, T, side, side, 3) of one place, of windows in whose middle the player is well inside it."""
        frames, actions, tries = [], [], 0
        while len(frames) < size:
            tries += 1
            shard = self.shards[self.rng.integers(len(self.shards))]
            stream = self.rng.integers(shard.frames.shape[0])
            middle = EVERY * self.rng.integers(self.length // 2 // EVERY + 1, shard.places.shape[1])
            start = middle - self.length // 2
            x, y = shard.places[stream, middle // EVERY]
            inside = _within(x, left, side, margin) and _within(y, top, side, margin)
            inside = inside or tries > 1000  # nobody ever swims there: any window will do
            if not inside or not self._whole(shard, stream, start):
                continue
            cut = shard.frames[stream, start : start + self.length, top : top + side, left : left + side]
            frames.append(cut)
            actions.append(shard.action[stream, start : start + self.length])
        return torch.from_numpy(np.stack(frames)), torch.from_numpy(np.stack(actions)).long()

    def batch(self, size: int) -> tuple[Tensor, Tensor]:
        """Frames uint8 (B, T, P, P, 3) and action ids int64 (B, T)."""
        frames, actions = [], []
        while len(frames) < size:
            shard = self.shards[self.rng.integers(len(self.shards))]
            stream = self.rng.integers(shard.frames.shape[0])
            start = self.rng.integers(shard.frames.shape[1] - self.length + 1)
            if not self._whole(shard, stream, start):
                continue
            frames.append(shard.frames[stream, start : start + self.length])
            actions.append(shard.action[stream, start : start + self.length])
        return torch.from_numpy(np.stack(frames)), torch.from_numpy(np.stack(actions)).long()


def _within(at: float, begin: int, side: int, margin: int, whole: int = 64) -> bool:
    low = begin + (margin if begin > 0 else 0)
    high = begin + side - (margin if begin + side < whole else 0)
    return bool(low <= at <= high)


def _places(frames: NDArray[np.uint8], path: Path) -> NDArray[np.float32]:
    """The player's place (stream, time / EVERY, 2), computed once and kept beside the shard."""
    if not path.exists():
        found = [player_place(np.asarray(stream[::EVERY])) for stream in frames]
        np.save(path, np.stack(found).astype(np.float32))
    places: NDArray[np.float32] = np.load(path)
    return places


def unbroken(shard: Shard, length: int, gap: int = 0) -> list[tuple[int, int]]:
    """(stream, start) of windows in which no episode begins after the first frame, ``gap`` frames apart."""
    found = []
    for stream in range(shard.first.shape[0]):
        start = 0
        while start + length <= shard.first.shape[1]:
            broken = np.flatnonzero(shard.first[stream, start + 1 : start + length])
            if broken.size:
                start += int(broken[-1]) + 1
            else:
                found.append((stream, start))
                start += length + gap
    return found


def backdrop_of(shards: list[Shard], samples: int = 400) -> Tensor:
    """The picture behind everything: the median of frames from all over, (3, P, P) in [-1, 1]."""
    frames = shards[0].frames
    streams = np.arange(samples) % frames.shape[0]
    times = np.linspace(0, frames.shape[1] - 1, samples).astype(int)
    middle = np.median(frames[streams, times], axis=0)
    return torch.from_numpy(middle).float().permute(2, 0, 1) / 127.5 - 1.0
