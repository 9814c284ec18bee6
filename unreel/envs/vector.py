"""Many dreamt worlds as one Gymnasium vector environment."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium.utils import seeding
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.envs.worlds import Dreaming, World, check_horizon
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.reward import RewardHead

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]


class DreamVectorEnv(VectorEnv[Frames, NDArray[np.int64], NDArray[Any]]):
    """``num_envs`` worlds that are dreamt as one batch; each is what ``DreamEnv`` with its seed makes.

    World ``i`` of ``reset(seed=s)`` has the seed ``s + i``. A world whose episode is over begins anew with the next
    step, whose action it ignores (autoreset mode NEXT_STEP). ``info["frames"]`` is (num_envs, T, H, W, 3).

    Raises:
        UserError: no such model, or a bad option.
    """

    metadata = {"render_modes": ["rgb_array"], "autoreset_mode": AutoresetMode.NEXT_STEP}

    def __init__(
        self,
        num_envs: int = 1,
        model: str | Model = "dream",
        horizon: int = 100,
        steps: int | None = None,
        head: RewardHead | None = None,
        render_mode: str | None = None,
        dreaming: Dreaming | None = None,
    ) -> None:
        if num_envs < 1:
            raise UserError(f"num_envs must be 1 or more, got {num_envs}")
        self.dreaming = dreaming or Dreaming(model, steps, head)
        self.num_envs, self.horizon, self.render_mode = num_envs, check_horizon(horizon), render_mode
        self.single_observation_space = self.dreaming.observation_space
        self.single_action_space = self.dreaming.action_space
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self.metadata = {**self.metadata, "render_fps": self.dreaming.fps}
        self.worlds: list[World] = []
        self.over: Flags = np.zeros(num_envs, bool)

    def reset(
        self, *, seed: int | list[int] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Frames, dict[str, Any]]:
        """Begin all worlds anew, without a seed from where their own random streams stand."""
        if isinstance(seed, int):
            super().reset(seed=seed)
        seeds = [seed + i for i in range(self.num_envs)] if isinstance(seed, int) else seed
        if seeds is not None and len(seeds) != self.num_envs:
            raise UserError(f"{self.num_envs} worlds take as many seeds, got {len(seeds)}")
        streams = [world.rng for world in self.worlds] if seeds is None else [seeding.np_random(s)[0] for s in seeds]
        streams = streams or [seeding.np_random()[0] for _ in range(self.num_envs)]
        self.worlds = [self.dreaming.begin(rng, options) for rng in streams]
        self.over = np.zeros(self.num_envs, bool)
        return self._seen()

    def step(self, actions: NDArray[np.int64]) -> tuple[Frames, Numbers, Flags, Flags, dict[str, Any]]:
        """Every world a chunk further, all in one batch; UserError before the first reset."""
        if not self.worlds:
            raise UserError("the worlds have not begun: call reset first")
        if not self.action_space.contains(np.asarray(actions, np.int64)):
            last = self.dreaming.action_space.n - 1
            raise UserError(f"expected {self.num_envs} actions in 0..{last}, got {actions!r}")
        going = np.flatnonzero(~self.over)
        reward, ended = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        for index in np.flatnonzero(self.over):
            self.worlds[index] = self.dreaming.begin(self.worlds[index].rng, None)
        if len(going):
            moved, moment = self.dreaming.step([self.worlds[i] for i in going], [int(actions[i]) for i in going])
            reward[going], ended[going] = moment.reward, moment.ended
            for index, world in zip(going, moved, strict=True):
                self.worlds[index] = world
        cut = np.array([world.made >= self.horizon for world in self.worlds])
        self.over = ended | cut
        seen, info = self._seen()
        return seen, reward, ended, cut, info

    def render(self) -> tuple[Frames, ...] | None:
        """The last frame (H, W, 3) of every world, in the mode ``rgb_array``."""
        return tuple(world.frames[-1].copy() for world in self.worlds) if self.render_mode == "rgb_array" else None

    def snapshot(self) -> list[World]:
        """This moment of all worlds, to come back to with ``restore``."""
        return [world.copy() for world in self.worlds]

    def restore(self, worlds: list[World]) -> tuple[Frames, dict[str, Any]]:
        """Go on from as many snapshots as there are worlds, those of single environments included."""
        if len(worlds) != self.num_envs:
            raise UserError(f"{self.num_envs} worlds are restored from as many, got {len(worlds)}")
        self.worlds = [world.copy() for world in worlds]
        self.over = np.array([world.made >= self.horizon for world in worlds])
        return self._seen()

    def _seen(self) -> tuple[Frames, dict[str, Any]]:
        frames = np.stack([world.frames for world in self.worlds])
        return frames[:, -1].copy(), {"frames": frames, "_frames": np.ones(self.num_envs, bool)}
