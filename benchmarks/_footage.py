"""Held-out play of the game behind `dream`, small enough to ship: only what differs from the backdrop is stored."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.collect import TEST_LEVELS
from unreel.modalities.video.dream.data import Shard, unbroken


@dataclass(frozen=True)
class Footage:
    """Windows of play without a reset: frames (N, T, P, P, 3) and the action that led to each frame (N, T)."""

    frames: Frames
    actions: NDArray[np.int64]


def pack(shard: Shard, path: Path, windows: int = 160, length: int = 48) -> None:
    """Write ``windows`` windows of levels the model never saw."""
    places = [(s, t) for s, t in unbroken(shard, length) if shard.level[s, t] >= TEST_LEVELS]
    places = [places[i] for i in np.linspace(0, len(places) - 1, min(windows, len(places))).astype(int)]
    frames = np.stack([shard.frames[s, t : t + length] for s, t in places])
    actions = np.stack([shard.action[s, t : t + length] for s, t in places])
    backdrop = np.median(frames[:, 0], axis=0).astype(np.uint8)
    np.savez_compressed(path, difference=frames - backdrop, backdrop=backdrop, actions=actions)


def load(path: Path | None = None) -> Footage:
    """The shipped footage, or that of ``path``."""
    source = path or Path(str(files("unreel.benchmarks"))) / "data" / "dream_heldout.npz"
    with np.load(source) as stored:
        frames = stored["difference"] + stored["backdrop"]
        return Footage(frames, stored["actions"].astype(np.int64))
