"""Policies that need no learning, for filming and to compare with: sticky random keys, and a fish that hunts.

The hunter reads a single frame: it swims to the nearest fish that is narrower than itself and keeps away from wider
ones (the game compares widths as well). Lengths are pixels.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.collect import DIRECTION
from unreel.modalities.video.dream.measure import fish_mask, player_mask, player_place

WAYS = np.array([(x, y) / np.hypot(x, y) if x or y else (0.0, 0.0) for y, x in DIRECTION])  # (action, (x, y))
SLACK = 0.5  # a fish must be so much narrower to count as food
SCARE, FEAR = 12.0, 60.0  # how near a wider fish has to come to be kept away from, and how much


def blobs(mask_PP: NDArray[np.bool_], least: int = 2, reach: int = 1) -> NDArray[np.float64]:
    """Connected regions of at least ``least`` pixels: rows of centre x, centre y, width.

    Pixels are connected where neither coordinate differs by more than ``reach`` (1: eight neighbours).
    """
    steps = range(-reach, reach + 1)
    left = {(int(y), int(x)) for y, x in zip(*np.nonzero(mask_PP), strict=True)}
    found = []
    while left:
        region = [left.pop()]
        for y, x in region:
            near = {(y + dy, x + dx) for dy in steps for dx in steps} & left
            left -= near
            region += near
        if len(region) >= least:
            pixels = np.array(region)
            found.append((pixels[:, 1].mean(), pixels[:, 0].mean(), np.ptp(pixels[:, 1]) + 1))
    return np.array(found, np.float64).reshape(-1, 3)


def hunt(frame_PPC: Frames) -> int:
    """The action id of the hunter in one frame (P, P, 3); 0 (no key) where the player is not seen."""
    place = player_place(frame_PPC[None])[0]
    if np.isnan(place).any():
        return 0
    own = blobs(player_mask(frame_PPC[None])[0])
    width = own[np.hypot(*(own[:, :2] - place).T).argmin(), 2] if len(own) else 6.0
    fish = blobs(fish_mask(frame_PPC[None])[0])
    away = fish[:, :2] - place
    distance = np.hypot(away[:, 0], away[:, 1])
    gain = np.zeros(len(WAYS))
    food = fish[:, 2] <= width - SLACK
    if food.any():
        target = np.where(food, distance, np.inf).argmin()
        gain += WAYS @ away[target] / max(distance[target], 1e-6)
    else:
        gain += WAYS @ (np.array([32.0, 44.0]) - place) / 64.0
    for offset, far, wide in zip(away[~food], distance[~food], fish[~food, 2], strict=True):
        room = max(far - (wide + width) / 2, 1.0)
        if room < SCARE:
            gain -= WAYS @ (offset / max(far, 1e-6)) * FEAR / (room + 2.0) ** 2
    return int(gain.argmax())


class Sticky:
    """Random keys, each held for 2 to 15 calls; a share of ``idle`` calls for no key."""

    def __init__(self, seed: int, actions: int = 9, idle: float = 0.12) -> None:
        self.rng = np.random.default_rng(seed)
        self.actions, self.idle, self.action, self.left = actions, idle, 0, 0

    def __call__(self, frame_PPC: Frames) -> int:
        if self.left == 0:
            self.action = 0 if self.rng.random() < self.idle else int(self.rng.integers(1, self.actions))
            self.left = int(self.rng.integers(2, 16))
        self.left -= 1
        return self.action
