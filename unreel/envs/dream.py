"""A dreamt world as a Gymnasium environment."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.envs.worlds import Dreaming, World, check_horizon
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.reward import RewardHead


class DreamEnv(gymnasium.Env[Frames, np.int64]):
    """A step is one chunk of the model (`dream`: 2 frames) with the action held, as with a frame skip of that many.

    Observations are the last frame, uint8 (H, W, 3); ``info["frames"]`` are all frames of the step (T, H, W, 3).
    Actions are the numbers of the model's keys. The reward is what the model's reward head expects, the episode ends
    where the head gives that a chance above one half or the model's ending says so, and is cut after ``horizon``
    steps. The same seed and actions give the same episode. ``dreaming`` is a model loaded already; it stands for
    ``model``, ``steps`` and ``head``.

    Raises:
        UserError: no such model, or a bad option.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 7.5}

    def __init__(
        self,
        model: str | Model = "dream",
        horizon: int = 100,
        steps: int | None = None,
        head: RewardHead | None = None,
        render_mode: str | None = None,
        dreaming: Dreaming | None = None,
    ) -> None:
        self.dreaming = dreaming or Dreaming(model, steps, head)
        self.horizon = check_horizon(horizon)
        self.metadata = {**self.metadata, "render_fps": self.dreaming.fps}
        self.observation_space, self.action_space = self.dreaming.observation_space, self.dreaming.action_space
        self.render_mode = render_mode
        self.world: World | None = None

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """Begin anew, from ``options["start"]`` (the number of a seed clip, frames or a trajectory) or any clip."""
        super().reset(seed=seed)
        self.world = self.dreaming.begin(self.np_random, options)
        return self._seen()

    def step(self, action: np.int64) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """A chunk further; UserError before the first reset."""
        if not self.action_space.contains(action):
            raise UserError(f"actions lie in 0..{self.dreaming.action_space.n - 1}, got {action!r}")
        (self.world,), moment = self.dreaming.step([self._now()], [int(action)])
        seen, info = self._seen()
        return seen, float(moment.reward[0]), bool(moment.ended[0]), self.world.made >= self.horizon, info

    def render(self) -> Frames | None:
        """The last frame (H, W, 3), in the mode ``rgb_array``."""
        return self._now().frames[-1].copy() if self.render_mode == "rgb_array" else None

    def snapshot(self) -> World:
        """This moment, to come back to with ``restore``; shares what is remembered."""
        return self._now().copy()

    def restore(self, world: World) -> tuple[Frames, dict[str, Any]]:
        """Go on from a snapshot of this environment or of one with the same model; any number of times."""
        self.world = world.copy()
        self._np_random = self.world.rng
        return self._seen()

    def fork(self) -> DreamEnv:
        """A second environment that goes on from here."""
        other = DreamEnv(horizon=self.horizon, render_mode=self.render_mode, dreaming=self.dreaming)
        other.restore(self._now())
        return other

    def _now(self) -> World:
        if self.world is None:
            raise UserError("the world has not begun: call reset first")
        return self.world

    def _seen(self) -> tuple[Frames, dict[str, Any]]:
        frames = self._now().frames
        return frames[-1].copy(), {"frames": frames.copy()}
