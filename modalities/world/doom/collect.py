"""Plays the game and writes what was seen, done and gained, in shards.

A shard is ``NAME.npz``, compressed; every array begins with time, episode after episode: ``frames`` uint8 (N, 56, 80,
3), ``segmentation`` and ``depth`` uint8 (N, 56, 80), ``action`` int8, the one that led TO that frame, ``first`` bool
(an episode begins here), ``reward`` float32, ``done`` bool, ``place`` float32 (N, 3), ``seed`` int32 (the episode's).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.modalities.world.doom.game import HELD_OUT, KEYS, Doom, Playable

EPISODE = 256  # decisions at most; the game itself goes on longer
NEAR, FREE = 6, 10  # steps of depth ahead: closer than that the player turns, until there is that much room


@dataclass(frozen=True)
class Shoot:
    """One shard: the episodes of seeds ``seed`` and following."""

    name: str
    seed: int
    episodes: int = 32

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.seed < 0 or self.seed < HELD_OUT < self.seed + self.episodes:
            raise UserError(f"a shard needs episodes, seeds from 0 on, and not both sides of {HELD_OUT}, got {self}")


class Wanderer:
    """Held random keys; turns away from walls."""

    SHARES = {"w": 0.44, "wa": 0.15, "wd": 0.15, "a": 0.08, "d": 0.08, "s": 0.05, "none": 0.05}

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.action, self.left, self.turning = 0, 0, False

    def __call__(self, depth_HW: NDArray[np.uint8]) -> int:
        height, width = depth_HW.shape
        ahead = depth_HW[height // 2 : height * 5 // 8, width * 3 // 8 : width * 5 // 8]
        room = float(np.percentile(ahead, 30))
        if self.turning and room > FREE:
            self.turning, self.left = False, 0
        elif not self.turning and room < NEAR and "w" in KEYS[self.action]:
            self.turning, self.left = True, 40
            self.action = KEYS.index("a" if self.rng.random() < 0.5 else "d")
        if self.left == 0:
            self.turning, self.left = False, int(self.rng.integers(2, 11))
            self.action = KEYS.index(str(self.rng.choice(list(self.SHARES), p=list(self.SHARES.values()))))
        self.left -= 1
        return self.action


def collect(data: Path, shards: int, begin: Callable[[], Playable] = Doom) -> None:
    """Play what is missing in ``data``: ``shards`` shards to train on and one of held-out episodes.

    Raises:
        UserError: the game is not installed.
    """
    data.mkdir(parents=True, exist_ok=True)
    wanted = [Shoot(f"train{n}", 32 * n) for n in range(shards)] + [Shoot("test0", HELD_OUT)]
    missing = [shoot for shoot in wanted if not (data / f"{shoot.name}.npz").exists()]
    game = begin() if missing else None
    for shoot in missing:
        assert game is not None
        arrays = play(game, shoot)
        partial = data / f"{shoot.name}.part.npz"
        np.savez_compressed(partial, **arrays)
        partial.replace(data / f"{shoot.name}.npz")
        print(f"played {shoot.name}: {shoot.episodes} episodes, {len(arrays['frames'])} frames", flush=True)


def play(game: Playable, shoot: Shoot) -> dict[str, NDArray]:
    """The arrays of one shard."""
    sights, books = [], []
    for seed in range(shoot.seed, shoot.seed + shoot.episodes):
        policy = Wanderer(seed)
        sight, action, reward, done = game.reset(seed), 0, 0.0, False
        for step in range(EPISODE):
            sights.append(sight)
            books.append((action, step == 0, reward, done, seed))
            if done:
                break
            action = policy(sight.depth)
            sight, reward, done = game.step(action)
    action, first, reward, done, seed = (np.asarray(column) for column in zip(*books, strict=True))
    return {
        "frames": np.stack([sight.rgb for sight in sights]),
        "segmentation": np.stack([sight.segmentation for sight in sights]),
        "depth": np.stack([sight.depth for sight in sights]),
        "place": np.stack([sight.place for sight in sights]),
        "action": action.astype(np.int8), "first": first, "reward": reward.astype(np.float32), "done": done,
        "seed": seed.astype(np.int32),
    }  # fmt: skip
