"""The real game behind `dream` as a Gymnasium environment, with the spaces and the steps of the dream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces

from unreel.engine.errors import UserError
from unreel.envs.worlds import check_horizon
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.collect import KEYS, TEST_LEVELS
from unreel.modalities.video.dream.game import Game
from unreel.modalities.video.dream.game_process import SIZE

HELD = 2  # frames of a step, as many as a chunk of `dream` has
LEVELS = 5000  # held-out levels to choose from


class BigfishEnv(gymnasium.Env[Frames, np.int64]):
    """Procgen `bigfish`, easy, with the one backdrop of `dream`: the action is held for 2 frames, their rewards add up.

    Levels are held-out ones (10,000 and up) that the seed picks, or ``options["level"]``. After the end the game shows
    no last picture but its next beginning. The game runs in a process of its own; ``venv`` is the folder of its virtual
    environment, made when missing (by default in ``~/.cache/unreel``); ``command`` runs something else, for tests.

    Raises:
        UserError: a bad option, or a game that does not start.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 15 / HELD}

    def __init__(
        self,
        horizon: int = 100,
        venv: str | Path | None = None,
        render_mode: str | None = None,
        command: Sequence[str] | None = None,
    ) -> None:
        self.horizon, self.render_mode = check_horizon(horizon), render_mode
        self.observation_space = spaces.Box(0, 255, (SIZE, SIZE, 3), np.uint8)
        self.action_space = spaces.Discrete(len(KEYS))
        self.game = Game(venv, command)
        self.made, self.over = 0, True
        self.frames: Frames = np.zeros((HELD, SIZE, SIZE, 3), np.uint8)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Frames, dict[str, Any]]:
        """Begin a level; ``info["level"]`` says which."""
        super().reset(seed=seed)
        level = int(self.np_random.integers(LEVELS)) + TEST_LEVELS
        for name, value in (options or {}).items():
            if name != "level" or not isinstance(value, int) or not 0 <= value < 2**31:
                raise UserError(f"reset takes the option level, a whole number from 0, got {name} = {value!r}")
            level = value
        self.frames = self.game.reset(level)[None].repeat(HELD, axis=0)
        self.made, self.over = 0, False
        return self.frames[-1].copy(), {"frames": self.frames.copy(), "level": level}

    def step(self, action: np.int64) -> tuple[Frames, float, bool, bool, dict[str, Any]]:
        """Two frames further, or one where the episode ends in it (which then counts twice)."""
        if self.over:
            raise UserError("the episode has not begun, or has ended: call reset first")
        if not self.action_space.contains(action):
            raise UserError(f"actions lie in 0..{len(KEYS) - 1}, got {action!r}")
        frames, earned, ended = [], 0.0, False
        for _ in range(HELD):
            if not ended:
                frame, reward, ended = self.game.act(int(action))
                earned += reward
            frames.append(frame)
        self.frames, self.made, self.over = np.stack(frames), self.made + 1, ended
        return self.frames[-1].copy(), earned, ended, self.made >= self.horizon, {"frames": self.frames.copy()}

    def render(self) -> Frames | None:
        """The last frame (64, 64, 3), in the mode ``rgb_array``."""
        return self.frames[-1].copy() if self.render_mode == "rgb_array" else None

    def close(self) -> None:
        """End the game's process."""
        self.game.close()
