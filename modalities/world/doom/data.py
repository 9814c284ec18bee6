"""What was played, read back: frames with their truth, and windows of latents that no new episode breaks.

Letters: N frames, B windows, T frames of a window, C channels, h and w cells.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.errors import UserError


@dataclass(frozen=True)
class Played:
    """The arrays of some shards, one after the other, as `collect` wrote them."""

    frames: NDArray[np.uint8]
    segmentation: NDArray[np.uint8]
    depth: NDArray[np.uint8]
    action: NDArray[np.int8]
    first: NDArray[np.bool_]
    reward: NDArray[np.float32]
    done: NDArray[np.bool_]
    place: NDArray[np.float32]
    seed: NDArray[np.int32]


def load_played(folder: Path, prefix: str = "train") -> Played:
    """All shards of a folder whose names begin with ``prefix``: ``train``, or ``test`` for what is held out.

    Raises:
        UserError: there are none.
    """
    paths = sorted(folder.glob(f"{prefix}*.npz"))
    if not paths:
        raise UserError(f"no {prefix}*.npz in {folder}: play the game first (unreel train doom --data {folder})")
    shards = []
    for path in paths:
        with np.load(path) as arrays:
            shards.append({name: arrays[name] for name in Played.__dataclass_fields__})
    return Played(**{name: np.concatenate([shard[name] for shard in shards]) for name in shards[0]})


def starts_of(seed_N: NDArray[np.int32], length: int, every: int = 1) -> NDArray[np.int64]:
    """Where windows of ``length`` frames of a single episode may begin, ``every`` so many frames.

    Raises:
        UserError: no episode is that long.
    """
    begins = np.arange(0, len(seed_N) - length + 1, every)
    whole = begins[seed_N[begins] == seed_N[begins + length - 1]]
    if not len(whole):
        raise UserError(f"no episode has {length} frames in a row: play longer ones")
    return whole


class Windows:
    """Random windows of latents and the actions that led to each of their frames."""

    def __init__(
        self, latents_NChw: Tensor, action_N: NDArray[np.int8], seed_N: NDArray[np.int32], length: int
    ) -> None:
        self.latents, self.length = latents_NChw, length
        self.actions = torch.from_numpy(action_N.astype(np.int64))
        self.starts = torch.from_numpy(starts_of(seed_N, length))

    def batch(self, size: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Latents float32 (B, T, C, h, w) and action ids (B, T)."""
        begins = self.starts[torch.randint(len(self.starts), (size,), generator=generator)]
        at = begins[:, None] + torch.arange(self.length)
        return self.latents[at].float(), self.actions[at]
