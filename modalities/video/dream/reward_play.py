"""What the reward head learns from: recorded play of the real game, and dreams of the same play.

The dream goes on where the play was cut, under the keys that were held; its labels are what really happened. A dream
draws no ends, its player swims on through the fish that eats it: such samples teach a head how being eaten looks there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.generate import advance
from unreel.engine.model import Model
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.game import Game
from unreel.modalities.video.dream.hunter import Sticky, hunt
from unreel.modalities.video.dream.reward import DISCOUNT, SEEN, around_player

HELD = SEEN - 1  # frames of a chunk, for which an action is held
CONTEXT = 12  # frames that a dream goes on from
UNKNOWN = 30  # last chunks of an episode that was cut, whose value is not known
Labels = NDArray[np.float32]  # per chunk: reward, 1 where the episode ended in it, value (NaN where not known)


@dataclass(frozen=True)
class PlayConfig:
    """``chunks`` at most in an episode; ``hunters`` of the episodes hunt, with ``slips`` of random keys, the others are
    sticky random. A dream lasts ``ahead`` chunks, at ``steps`` sampler steps each."""

    chunks: int = 100
    hunters: float = 0.7
    slips: float = 0.15
    ahead: int = 4
    steps: int = 1
    seed: int = 0


@dataclass(frozen=True)
class Samples:
    """What the head sees (N, C, S, S) uint8, and the labels (N, 3) of it."""

    seen: Tensor
    labels: Labels

    @property
    def rare(self) -> NDArray[np.bool_]:
        """Where a fish is eaten, or the player."""
        return np.asarray((self.labels[:, :2] > 0).any(1))


@dataclass(frozen=True)
class Window:
    """A piece of an episode to dream on: frames (T, P, P, 3) and actions (T,) up to a moment, then the actions
    (ahead * 2,) and the labels (chunks, 3) of what came; fewer chunks where the episode ended."""

    frames: Frames
    actions: list[int]
    then: list[int]
    labels: Labels


def episode(game: Game, level: int, config: PlayConfig) -> tuple[Frames, list[int], Labels]:
    """Play a level: frames (1 + 2 * chunks, P, P, 3), the action of each chunk, and the chunks' labels."""
    rng = np.random.default_rng((config.seed, level))
    policy: Callable[[Frames], int] = hunt if rng.random() < config.hunters else Sticky(level)
    frames, actions, earned, ended = [game.reset(level)], [], [], False
    while len(actions) < config.chunks and not ended:
        actions.append(int(rng.integers(9)) if rng.random() < config.slips else policy(frames[-1]))
        earned.append(0.0)
        for _ in range(HELD):
            if not ended:
                frame, reward, ended = game.act(actions[-1])
                earned[-1] += reward
            frames.append(frame)
    ends = np.zeros(len(actions), np.float32)
    ends[-1] = ended
    labels = np.stack([np.array(earned, np.float32), ends, returns(earned, ended)], axis=1)
    return np.stack(frames), actions, labels


def returns(rewards: Sequence[float], ended: bool) -> NDArray[np.float32]:
    """Discounted reward after each chunk; NaN for the last ones of an episode that was cut."""
    values, ahead = np.zeros(len(rewards), np.float32), 0.0
    for k in range(len(rewards) - 1, -1, -1):
        values[k] = ahead
        ahead = rewards[k] + DISCOUNT * ahead
    if not ended:
        values[max(0, len(rewards) - UNKNOWN) :] = np.nan
    return values


def record(game: Game, config: PlayConfig, chunks: int, first_level: int) -> tuple[Samples, list[Window]]:
    """Play level after level until there are so many chunks; windows are cut around what is rare, and anywhere."""
    seen, labels, windows, level = [], [], [], first_level
    while sum(map(len, labels)) < chunks:
        frames, actions, truth = episode(game, level, config)
        seen.append(around_player(frames[HELD * np.arange(len(actions))[:, None] + np.arange(SEEN)]))
        labels.append(truth)
        windows += _windows(frames, actions, truth, config, np.random.default_rng((config.seed, level, 1)))
        level += 1
    return Samples(torch.cat(seen), np.concatenate(labels)), windows


def _windows(
    frames: Frames, actions: list[int], labels: Labels, config: PlayConfig, rng: np.random.Generator
) -> list[Window]:
    """One window in which the episode ends, one in which a fish is eaten, and one anywhere, where there are such."""
    moments = [np.flatnonzero(labels[:, 1]), np.flatnonzero(labels[:, 0]), np.arange(len(actions))]
    found = []
    for of_kind in moments:
        begin = (int(rng.choice(of_kind)) if len(of_kind) else 0) - int(rng.integers(config.ahead))
        if begin < 1:
            continue
        until = 1 + HELD * begin
        taken = [0, *np.repeat(actions, HELD).tolist()]
        then = (taken[until:] + [0] * config.ahead * HELD)[: config.ahead * HELD]
        least = max(0, until - CONTEXT)
        found.append(Window(frames[least:until], taken[least:until], then, labels[begin : begin + config.ahead]))
    return found


def dreamt(model: Model, windows: Sequence[Window], config: PlayConfig, batch: int = 16) -> Samples:
    """What the head sees of dreams that go on from windows, with the labels of what really came."""
    seen, labels = [], []
    for first in range(0, len(windows), batch):
        group = windows[first : first + batch]
        sessions = [
            model.session(
                seed=first + i, start=w.frames, start_actions=w.actions, actions=w.then, steps=config.steps,
                rewind=0, restart=False,
            )  # fmt: skip
            for i, w in enumerate(group)
        ]
        films = [[w.frames[-1:]] for w in group]
        while len(films[0]) <= config.ahead:
            for film, events in zip(films, advance(sessions), strict=True):
                film.extend(event.payload for event in events)
        for film, window in zip(films, group, strict=True):
            chunks = len(window.labels)
            seen.append(around_player(np.concatenate(film)[HELD * np.arange(chunks)[:, None] + np.arange(SEEN)]))
            labels.append(window.labels)
    return Samples(torch.cat(seen), np.concatenate(labels))
