"""Planning in dreams: what a forecaster dreams of candidates, what that is worth, and a policy that acts by it.

Letters: B situations, S candidates, T frames, H and W pixels.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from unreel.engine.errors import UserError
from unreel.envs.worlds import Dreaming
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.reward import DISCOUNT, RewardHead, around_player
from unreel.modalities.world.planner import Planner, PlannerConfig

REMEMBERED = 12  # newest real frames that a plan begins from: what `dream` attends to, and the chunk it copies from


class DreamRollouts:
    """``rollout`` for a planner: all candidates of a situation go on from its frames, observed once, as one batch. They
    draw the same random numbers, so that what tells them apart is their actions."""

    def __init__(self, dreaming: Dreaming, seed: int = 0) -> None:
        self.dreaming, self.seed = dreaming, seed

    def rollout(self, info: Mapping[str, Any], action_candidates: NDArray[np.int64]) -> dict[str, Frames]:
        """Dreams of candidates (B, S, horizon, 1), an action for each chunk.

        ``info`` holds ``frames`` (B, T, H, W, 3) seen last and ``actions`` (B, T), which led to them. Returns
        ``frames`` (B, S, horizon * chunk, H, W, 3) and ``before`` (B, H, W, 3), the frame that they go on from.
        """
        if action_candidates.ndim != 4 or action_candidates.shape[-1] != 1:
            raise UserError(f"candidates are ids (B, S, horizon, 1), got {action_candidates.shape}")
        chunk = self.dreaming.model.frames_per_chunk
        held = action_candidates[..., 0].repeat(chunk, axis=-1)
        dreamt, forecaster = [], self.dreaming.forecaster
        for frames, actions, ids in zip(info["frames"], info["actions"], held, strict=True):
            root = forecaster.encode({"observations": frames, "actions": actions}, rewind=0, seed=self.seed)
            branches = [root.fork() for _ in ids]
            dreamt.append(forecaster.step(branches, ids, ids.shape[1])["rgb"])
        return {"frames": np.stack(dreamt), "before": np.asarray(info["frames"])[:, -1]}


class ExpectedReturn:
    """What dreams are worth to a reward head: the fish of every chunk and, after the last, the value of where they
    lead, each discounted and counted as far as the player is likely to be alive."""

    def __init__(self, head: RewardHead, chunk: int = 2) -> None:
        self.head, self.chunk = head, chunk

    def __call__(self, rolled: Mapping[str, Frames]) -> NDArray[np.float64]:
        """Returns (B, S) of what ``DreamRollouts.rollout`` gave."""
        frames = rolled["frames"]
        batch, samples = frames.shape[:2]
        before = np.broadcast_to(rolled["before"][:, None, None], (batch, samples, 1, *frames.shape[3:]))
        film = np.concatenate([before, frames], axis=2).reshape(batch * samples, -1, *frames.shape[3:])
        begins = np.arange(0, film.shape[1] - self.chunk, self.chunk)
        parts = film[:, begins[:, None] + np.arange(self.chunk + 1)]  # (B * S, horizon, 1 + chunk, H, W, 3)
        judged = self.head.judge(around_player(parts.reshape(-1, *parts.shape[2:])))
        reward, ended, value = (part.double().reshape(batch, samples, -1) for part in judged)
        alive = torch.cumprod(1 - ended, dim=-1)
        weight = DISCOUNT ** torch.arange(len(begins))
        total = (weight * alive * reward).sum(-1) + DISCOUNT ** len(begins) * alive[..., -1] * value[..., -1]
        return np.asarray(total.numpy())


class PlannedPolicy:
    """Acts in the real game by planning in the dream: ``act(frames)`` takes what the last step showed.

    ``commit`` steps of each plan are carried out before the next is made.
    """

    def __init__(self, dreaming: Dreaming, config: PlannerConfig, commit: int = 1) -> None:
        if dreaming.head is None:
            raise UserError(f"{dreaming.model.name} has no reward head, so nothing says which dream is better")
        score = ExpectedReturn(dreaming.head, dreaming.model.frames_per_chunk)
        self.planner = Planner(DreamRollouts(dreaming), score, len(dreaming.model.actions), config)
        self.commit, self.config = commit, config
        self.reset()

    def reset(self) -> None:
        """An episode begins."""
        self.planner.reset()
        self.frames: deque[Frames] = deque(maxlen=REMEMBERED)
        self.taken: deque[int] = deque(maxlen=REMEMBERED)
        self.queue: list[int] = []
        self.action = 0

    def act(self, frames_THWC: Frames) -> int:
        """The action after a step that showed these frames."""
        self.frames.extend(frames_THWC)
        self.taken.extend([self.action] * len(frames_THWC))
        if not self.queue:
            info = {"frames": np.stack(self.frames)[None], "actions": np.array(self.taken)[None]}
            self.queue = self.planner.act(info, self.commit).tolist()
        self.action = int(self.queue.pop(0))
        return self.action
