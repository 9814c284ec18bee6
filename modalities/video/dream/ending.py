"""When a world of the reef is over: the player has been eaten, or there is more than one.

In the game both begin a new episode. The dream was trained within episodes, so it knows neither way back.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.hunter import blobs
from unreel.modalities.video.dream.measure import player_mask

LEAST = 6  # pixels of a player; fewer are a speck
SPLIT = 5  # pixels of another fish in front of a player that do not make two of it


def players(frames_TPPC: Frames, split: int = 0) -> list[int]:
    """How many players are in each frame: regions of at least ``LEAST`` pixels of its green.

    Parts with no more than ``split`` other pixels between them are one.
    """
    return [len(blobs(mask, LEAST, 1 + split * _parted(mask, split))) for mask in player_mask(frames_TPPC)]


def _parted(mask_PP: NDArray[np.bool_], split: int) -> bool:
    """Whether there are parts at all; nearly always there is one, and then near and far neighbours are alike."""
    return split > 0 and len(blobs(mask_PP, 1)) > 1


@dataclass(frozen=True)
class PlayerEnding:
    """Over after ``lost`` chunks in a row with a player in none of their frames, or ``doubled`` with several in all."""

    lost: int = 4
    doubled: int = 6

    def __post_init__(self) -> None:
        for name in ("lost", "doubled"):
            count = getattr(self, name)
            if isinstance(count, bool) or not isinstance(count, int) or count < 1:
                raise UserError(f"the ending takes {name} as chunks, 1 or more, got {count!r}")

    def judge(self, frames: Frames, judged: tuple[int, ...]) -> tuple[tuple[int, ...], bool]:
        """``judged``: chunks in a row without a player, and with several."""
        lost, doubled = judged or (0, 0)
        seen = players(frames, SPLIT)
        lost = lost + 1 if max(seen) == 0 else 0
        doubled = doubled + 1 if min(seen) > 1 else 0
        return (lost, doubled), lost >= self.lost or doubled >= self.doubled
