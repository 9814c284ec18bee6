"""Trains the codec: features come back as they were, and so do the places that their rotations lead to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize, smooth_l1_loss

from unreel.engine.learner import Learner, Pace
from unreel.modalities.motion.body import BODY, shaped
from unreel.modalities.motion.features import Layout
from unreel.modalities.motion.motion.data import Labelled
from unreel.modalities.motion.motion.windows import Windows
from unreel.modalities.motion.network import CodecConfig, MotionCodecNet

LAYOUT = Layout.of(BODY)
# How much an error counts (against its part's spread): what moves the root counts more, as in MotionStreamer.
WEIGHTS = {"velocity": 7.0, "turn": 7.0, "height": 7.0, "rotations": 2.0, "velocities": 0.5}
COMMITMENT, STEPS, PLACES = 0.02, 0.5, 4.0
JOLTS = 10.0  # of the second difference of places: what would be seen where chunks meet
DROPOUT = 0.2  # share of samples that get by on a few levels


class CodecTrainer:
    """Windows of ``frames`` frames, ``samples`` a step; goes on from ``out/codec.pt``.

    The first ``warm`` steps go without codes, so that codebooks begin where latents have found their places.
    """

    def __init__(
        self, clips: Sequence[Labelled], pace: Pace, out: Path, sizes: dict[str, int], *, samples: int = 24,
        frames: int = 96, warm: int = 200, seed: int = 0,
    ) -> None:  # fmt: skip
        torch.manual_seed(seed)
        net = MotionCodecNet(CodecConfig(LAYOUT.width, **sizes))
        mean, spread = statistics(clips)
        net.mean.copy_(mean)
        net.spread.copy_(spread)
        self.learner = Learner(net, pace, out, seed, "codec", torch.float32)
        self.learner.resume()
        self.windows = Windows(clips, frames, 8, seed + self.learner.step)
        self.samples, self.warm = samples, warm
        self.weights = feature_weights()

    def run(self) -> None:
        """Train until the time is used up."""
        self.learner.run(self.loss, self.facts)

    def facts(self) -> dict[str, Any]:
        """What an export needs to know besides the weights."""
        return {"sizes": asdict(self._net.config)}

    @property
    def _net(self) -> MotionCodecNet:
        net = self.learner.work
        assert isinstance(net, MotionCodecNet)
        return net

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Smooth L1 of features and steps, joint places, their jolts and commitment; ``used``: first-level codes."""
        net = self._net
        real, _, _, body, _ = self.windows.batch(self.samples)
        latents, commitment, used = net.encode(real), torch.zeros(()), 0.0
        if self.learner.step >= self.warm:
            coded = net.quantiser(latents, self.learner.generator, DROPOUT)
            latents, commitment, used = coded.latents, coded.commitment, float(len(coded.codes[..., 0].unique()))
        made, _ = net.decode(latents)
        whole, steps = distances(net, made, real, self.weights)
        apart = places(made, body) - places(real, body)
        error, jolt = apart.norm(dim=-1).mean(), apart.diff(n=2, dim=1).norm(dim=-1).mean()
        parts = {
            "features": float(whole.detach()),
            "places_mm": 1000 * float(error.detach()),
            "used": used,
        }
        return whole + STEPS * steps + PLACES * error + JOLTS * jolt + COMMITMENT * commitment, parts


def feature_weights() -> Tensor:
    """How much an error of each feature counts (D,)."""
    weights = torch.ones(LAYOUT.width)
    for name, weight in WEIGHTS.items():
        weights[LAYOUT.parts[name]] = weight
    return weights


def distances(net: MotionCodecNet, made_BTD: Tensor, real_BTD: Tensor, weights_D: Tensor) -> tuple[Tensor, Tensor]:
    """Smooth L1 of features against their spread, and of their steps."""
    ours, theirs = ((numbers - net.mean) / net.spread * weights_D for numbers in (made_BTD, real_BTD))
    return smooth_l1_loss(ours, theirs), smooth_l1_loss(ours.diff(dim=1), theirs.diff(dim=1))


def statistics(clips: Sequence[Labelled]) -> tuple[Tensor, Tensor]:
    """Mean and spread (D,) of the features; all numbers of one part share a spread."""
    numbers = np.concatenate([clip.features for clip in clips])
    spread = np.ones(LAYOUT.width)
    for part in LAYOUT.parts.values():
        spread[part] = max(float(numbers[:, part].std(0).mean()), 1e-3)
    return torch.from_numpy(numbers.mean(0)).float(), torch.from_numpy(spread).float()


def places(features_BTD: Tensor, body_BJ: Tensor) -> Tensor:
    """Joint places (B, T, J, 3) in metres that rotations and root height lead to, without the way over the ground."""
    columns = features_BTD[..., LAYOUT.parts["rotations"]].unflatten(-1, (len(BODY), 2, 3))
    first = normalize(columns[..., 0, :], dim=-1)
    second = normalize(columns[..., 1, :] - (first * columns[..., 1, :]).sum(-1, keepdim=True) * first, dim=-1)
    turns = torch.stack([first, second, torch.cross(first, second, dim=-1)], -1)
    offsets = torch.stack([torch.from_numpy(shaped(np.exp(row.numpy())).translations) for row in body_BJ])
    height = features_BTD[..., LAYOUT.parts["height"]]
    spots: list[Tensor] = []
    world: list[Tensor] = []
    for joint, parent in enumerate(BODY.parents):
        if parent < 0:
            spots.append(torch.cat([torch.zeros_like(height), height, torch.zeros_like(height)], -1))
            world.append(turns[..., joint, :, :])
        else:
            arm = offsets[:, None, joint, :, None]
            spots.append(spots[parent] + (world[parent] @ arm)[..., 0])
            world.append(world[parent] @ turns[..., joint, :, :])
    return torch.stack(spots, -2)
