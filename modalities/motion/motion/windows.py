"""Windows of training clips: loops go round, clips flow into each other, tokens know their words and the way ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.features import Layout
from unreel.modalities.motion.motion.data import Labelled
from unreel.modalities.motion.motion.labels import steps_on
from unreel.modalities.motion.network import FRAMES
from unreel.modalities.motion.path import AHEAD, TOLD, seen_from
from unreel.modalities.motion.words import hashed
from unreel.modalities.skeleton.rotations import Floats

BLEND = 10  # frames over which one clip becomes another
SWITCH = 3  # tokens over which words change
TRIES = 12  # places among which the nearest to what came before is taken
LAYOUT = Layout.of(BODY)


class Window(NamedTuple):
    """Samples: numbers (B, T, D); per token of four frames texts (B, N, W) and ways ahead (B, N, 7); bodies (B, J);

    ``real`` (B, N): tokens that are motion, not the held last pose of a clip that was too short.
    """

    features: Tensor
    text: Tensor
    path: Tensor
    body: Tensor
    real: Tensor


class Windows:
    """Draws windows of ``frames``. Clips are drawn by the square root of their length, all variants of one together;
    clips of steps twice as often, for most of what is asked for is made of steps.
    """

    def __init__(self, clips: Sequence[Labelled], frames: int, words: int, seed: int = 0) -> None:
        self.clips, self.frames = list(clips), frames
        names = [clip.name for clip in clips]
        often = {name: names.count(name) for name in set(names)}
        weight = np.asarray([np.sqrt(len(c.features)) / often[c.name] * (1 + steps_on(c.text)) for c in clips])
        self.share = weight / weight.sum()
        self.hashed = {clip.text: hashed(clip.text, words).numpy() for clip in clips}
        self.random = np.random.default_rng(seed)

    def batch(self, size: int, joins: float = 0.0) -> Window:
        """``size`` windows, a share of them (``joins``) of two clips that flow into each other."""
        drawn = [self._joined() if self.random.random() < joins else self._single() for _ in range(size)]
        parts = (torch.from_numpy(np.stack(part).astype(np.float32)) for part in zip(*drawn, strict=True))
        return Window(*parts)

    def _pick(self) -> Labelled:
        return self.clips[int(self.random.choice(len(self.clips), p=self.share))]

    def _stretch(self, clip: Labelled, frames: int, start: int | None = None) -> tuple[Floats, int]:
        """So many frames of a clip from a random place (or ``start``) on, and how many of them are motion."""
        numbers, length = clip.features, len(clip.features)
        if clip.cyclic:
            first = int(self.random.integers(length - 1)) if start is None else start
            around = 1 + (first - 1 + np.arange(frames)) % (length - 1)  # the last pose is the first one again
            return numbers[around], frames
        first = int(self.random.integers(max(1, length - frames + 1))) if start is None else start
        part = numbers[first : first + frames]
        if len(part) == frames:
            return part, frames
        return np.concatenate([part, held(part[-1:]).repeat(frames - len(part), 0)]), len(part)

    def _single(self) -> tuple[Floats, ...]:
        clip = self._pick()
        numbers, real = self._stretch(clip, self.frames + AHEAD[-1])
        return self._told(numbers, [(0, clip.text)], clip.body, real)

    def _joined(self) -> tuple[Floats, ...]:
        """Two clips; the second begins, of a few places, where its pose is nearest to the one it follows."""
        one, two = self._pick(), self._pick()
        cut = int(self.random.integers(self.frames // 4, 3 * self.frames // 4)) // FRAMES * FRAMES
        first, real = self._stretch(one, cut)
        cut = max(FRAMES, real // FRAMES * FRAMES)
        first = first[:cut]
        starts = self.random.integers(max(1, len(two.features) - 2 * BLEND), size=TRIES)
        turned = LAYOUT.parts["rotations"]
        apart = [np.abs(two.features[start, turned] - first[-1, turned]).mean() for start in starts]
        rest, real = self._stretch(two, self.frames + AHEAD[-1] - cut, int(starts[int(np.argmin(apart))]))
        numbers = joined(first, rest)
        return self._told(numbers, [(0, one.text), (cut // FRAMES, two.text)], one.body, cut + real)

    def _told(self, numbers: Floats, texts: Sequence[tuple[int, str]], body: Floats, real: int) -> tuple[Floats, ...]:
        tokens = self.frames // FRAMES
        text = np.zeros((tokens, len(self.hashed[texts[0][1]])))
        for begin, words in texts:
            text[begin:] = self.hashed[words]
        for begin, words in texts[1:]:  # as a session's `prompt_switch: blend` tells them
            before = self.hashed[texts[0][1]]
            for share, token in enumerate(range(begin, min(begin + SWITCH, tokens)), 1):
                text[token] = before + share / (SWITCH + 1) * (self.hashed[words] - before)
        motion = (np.arange(tokens) * FRAMES < real).astype(np.float64)
        return numbers[: self.frames], text, ways(numbers, tokens), np.log(body), motion


def held(frame: Floats) -> Floats:
    """A frame (1, D) that stands still."""
    still = frame.copy()
    for name in ("velocity", "turn", "velocities"):
        still[:, LAYOUT.parts[name]] = 0.0
    return still


def joined(first: Floats, rest: Floats) -> Floats:
    """Two stretches one after the other; what the second differs by at its beginning fades over `BLEND` frames.

    Works on features because they know no place and no heading; contacts are not faded.
    """
    rest = rest.copy()
    count = min(BLEND, len(rest))
    apart = first[-1] - rest[0]
    apart[LAYOUT.parts["contacts"]] = 0.0
    fade = 0.5 + 0.5 * np.cos(np.pi * (np.arange(count) + 1) / (count + 1))
    rest[:count] += fade[:, None] * apart
    return np.concatenate([first, rest])


def ways(numbers: Floats, tokens: int) -> Floats:
    """What `path.ahead` would tell of the way that was taken: (tokens, 7), from where each token begins."""
    turn = np.cumsum(numbers[:, LAYOUT.parts["turn"]][:, 0] / 30.0)
    vx, vz = (numbers[:, LAYOUT.parts["velocity"]] / 30.0).T
    x = np.cumsum(np.cos(turn) * vx + np.sin(turn) * vz)
    z = np.cumsum(-np.sin(turn) * vx + np.cos(turn) * vz)
    place = np.concatenate([np.zeros((1, 3)), np.stack([x, z, turn], -1)])  # before the first frame, after each
    told = np.ones((tokens, TOLD))
    for token in range(tokens):
        here = place[token * FRAMES]
        aims = place[np.minimum(token * FRAMES + np.asarray(AHEAD), len(place) - 1), :2]
        told[token, :-1] = seen_from(aims, (here[0], here[1], here[2])).ravel()
    return told
