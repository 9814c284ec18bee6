"""Trains the decoder on, when the codes stand: what comes back moves as jerkily as what went in, at joins and inside.

A decoder that is trained for the least error alone is smooth within a chunk, where it knows least, and makes up for
that where chunks meet. So how large every third difference of a joint's place is counts beside where it points.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unreel.engine.learner import Learner, Pace
from unreel.modalities.motion.motion.codec_trainer import JOLTS, PLACES, STEPS, distances, feature_weights, places
from unreel.modalities.motion.motion.data import Labelled
from unreel.modalities.motion.motion.windows import Windows
from unreel.modalities.motion.network import MotionCodecNet

JERKS = 15.0


class DecoderTrainer:
    """Windows of ``frames`` frames, ``samples`` a step; encoder and codes stay. Goes on from ``out/decoder.pt``."""

    def __init__(
        self, clips: Sequence[Labelled], codec: MotionCodecNet, pace: Pace, out: Path, *, samples: int = 24,
        frames: int = 96, seed: int = 0,
    ) -> None:  # fmt: skip
        self.codec = codec.eval().requires_grad_(False)
        decoder = nn.ModuleList(codec.outward).requires_grad_(True)
        self.learner = Learner(decoder, pace, out, seed, "decoder", torch.float32)
        self.learner.resume()
        codec.outward = self.learner.work  # type: ignore[assignment]
        self.windows = Windows(clips, frames, 8, seed + self.learner.step)
        self.samples, self.weights = samples, feature_weights()

    def run(self) -> None:
        """Train until the time is used up."""
        self.learner.run(self.loss, self.facts)

    def facts(self) -> dict[str, Any]:
        """An export needs nothing but the weights."""
        return {}

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Smooth L1 of features and steps, joint places, their jolts and how large their jerks are."""
        net = self.codec
        real, _, _, body, _ = self.windows.batch(self.samples)
        with torch.no_grad():
            latents = net.quantiser.decode(net.codes(real))
        made, _ = net.decode(latents)
        whole, steps = distances(net, made, real, self.weights)
        spots, true = places(made, body), places(real, body)
        apart = spots - true
        error, jolt = apart.norm(dim=-1).mean(), apart.diff(n=2, dim=1).norm(dim=-1).mean()
        jerk = (spots.diff(n=3, dim=1).norm(dim=-1) - true.diff(n=3, dim=1).norm(dim=-1)).abs().mean()
        parts = {"places_mm": 1000 * float(error.detach()), "jerks_mm": 1000 * float(jerk.detach())}
        return whole + STEPS * steps + PLACES * error + JOLTS * jolt + JERKS * jerk, parts
