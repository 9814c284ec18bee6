"""What single and batched environments share: worlds that begin, are dreamt on together, and are judged.

Letters: N worlds, T frames of a step (one chunk), H and W pixels.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from unreel import catalogue
from unreel.engine.card import read_card
from unreel.engine.errors import UserError
from unreel.engine.generate import settle
from unreel.engine.model import Model
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.reward import RewardHead, around_player, load_head
from unreel.modalities.world.branch import Branch
from unreel.modalities.world.forecaster import Forecaster

ENDED = 0.5  # an episode ends in the chunk to which the head gives a chance above this


@dataclass(frozen=True)
class World:
    """One world at one moment: its branch, the frames (T, H, W, 3) of its last step, steps made, and its own draws;
    ``judged`` is what the model's ending remembers of it."""

    branch: Branch
    frames: Frames
    made: int
    rng: np.random.Generator
    judged: tuple[int, ...] = ()

    def copy(self) -> World:
        """A world that goes on from here by itself; what is remembered is shared."""
        settle(self.branch.session)
        return replace(self, branch=Branch(self.branch.session.fork()), rng=copy.deepcopy(self.rng))


@dataclass(frozen=True)
class Moment:
    """What one step of N worlds gave: frames (N, T, H, W, 3), rewards (N,), whether the episode ended (N,)."""

    frames: Frames
    reward: NDArray[np.float64]
    ended: NDArray[np.bool_]


class Dreaming:
    """A model and what judges it. Holds nothing that changes, so any number of environments may share one.

    ``model`` is a name, a folder or a model; ``head`` judges the frames (None: that of the model's card, if it names
    one; without one rewards are 0). Episodes end where the head or the ending of the model's card says so. ``steps``
    are the sampler's, as in ``Model.session``.

    Raises:
        UserError: no such model, or one without actions.
    """

    def __init__(self, model: str | Model, steps: int | None = None, head: RewardHead | None = None) -> None:
        if isinstance(model, str):
            head = head or shipped_head(model)
            model = catalogue.load(model)
        if not model.actions:
            raise UserError(f"{model.name} takes no actions, so it makes no environment: dream and doom do")
        self.model, self.head = model, head
        self.forecaster = Forecaster(model, steps)
        self.observation_space = spaces.Box(0, 255, (*model.frame_size, 3), np.uint8)
        self.action_space = spaces.Discrete(len(model.actions))

    @property
    def fps(self) -> float:
        """Steps per second."""
        return self.model.fps / self.model.frames_per_chunk

    def begin(self, rng: np.random.Generator, options: Mapping[str, Any] | None) -> World:
        """A world that goes on from ``options["start"]``: the number of a seed clip, frames or a trajectory; by default
        a seed clip that ``rng`` picks.

        Raises:
            UserError: an option of another name, or a start that the model cannot go on from.
        """
        if unknown := [name for name in options or {} if name != "start"]:
            raise UserError(f"reset takes the option start, got {', '.join(unknown)}")
        seed, clips = int(rng.integers(2**31)), len(self.model.seeds.get("frames", ()))
        start = (options or {}).get("start", int(rng.integers(clips)) if clips else None)
        if start is None:
            raise UserError(f"{self.model.name} ships no seed clips: reset(options={{'start': frames}})")
        branch = self.forecaster.encode(start, rewind=0, seed=seed)
        return World(branch, self._observed(branch), 0, rng)

    def _observed(self, branch: Branch) -> Frames:
        """The frames of the last observed chunk."""
        state, codec = branch.session.state, self.model.codec
        frames: Frames = codec.decode(state.past[max(state.past)].clean, codec.new_state())[0]
        return frames

    def step(self, worlds: Sequence[World], actions: Sequence[int]) -> tuple[list[World], Moment]:
        """All worlds a chunk further, in one batch; each holds its action for the whole chunk."""
        made = self.forecaster.step([world.branch for world in worlds], np.asarray(actions, np.int64))
        frames: Frames = made["rgb"]
        moved, over = [], np.zeros(len(worlds), bool)
        for i, (world, f) in enumerate(zip(worlds, frames, strict=True)):
            judged = world.judged
            if self.model.ending is not None:
                judged, over[i] = self.model.ending.judge(f, judged)
            moved.append(replace(world, frames=f, made=world.made + 1, judged=judged))
        if self.head is None:
            return moved, Moment(frames, np.zeros(len(worlds)), over)
        seen = np.stack([np.concatenate([world.frames[-1:], f]) for world, f in zip(worlds, frames, strict=True)])
        found = self.head.judge(around_player(seen))
        return moved, Moment(frames, found.reward.double().numpy(), (found.ended > ENDED).numpy() | over)


def shipped_head(name: str) -> RewardHead | None:
    """The reward head that a model's card names, or None."""
    card_path, folder = catalogue.locate(name)
    file = read_card(card_path).reward
    return None if file is None else load_head(folder / file)


def check_horizon(horizon: int) -> int:
    """Raises UserError for a horizon below 1."""
    if isinstance(horizon, bool) or not isinstance(horizon, int) or horizon < 1:
        raise UserError(f"horizon must be 1 step or more (a step is one chunk), got {horizon!r}")
    return horizon
