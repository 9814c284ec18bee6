"""Trains the transformer on the codec's tokens: the next step, level by level, also after steps of its own making."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from unreel.engine.context.view import SequenceView
from unreel.engine.learner import Learner, Pace
from unreel.modalities.motion.motion.data import Labelled
from unreel.modalities.motion.motion.windows import Window, Windows
from unreel.modalities.motion.net import MotionNet
from unreel.modalities.motion.network import FRAMES, MotionCodecNet

WORDLESS, BODILESS, PATHLESS = 0.15, 0.1, 0.5  # shares of windows that are not told
JOINS = 0.35  # share of windows that go from one clip to another
OWN_FROM, OWN_SHARE, OWN_TOKENS = 0.2, 0.5, 0.4  # of the time; of the windows; of their tokens, at the most
SMOOTH = 0.05


class NetTrainer:
    """Windows of ``tokens`` steps, ``samples`` a step of the optimiser; a step looks back at ``recent`` others.

    Goes on from ``out/net.pt``.
    """

    def __init__(
        self, clips: Sequence[Labelled], codec: MotionCodecNet, pace: Pace, out: Path, sizes: dict[str, int], *,
        samples: int = 16, tokens: int = 48, recent: int = 32, seed: int = 0,
    ) -> None:  # fmt: skip
        torch.manual_seed(seed)
        own = {"levels": codec.config.levels, "codes": codec.config.codes}
        net = MotionNet(**{**sizes, **own})
        self.learner = Learner(net, pace, out, seed, "net")
        self.learner.resume()
        self.generator = self.learner.generator
        self.codec = codec.eval().requires_grad_(False)
        self.windows = Windows(clips, tokens * FRAMES, net.config.words, seed + self.learner.step)
        self.samples, self.tokens, self.recent = samples, tokens, recent

    def run(self) -> None:
        """Train until the time is used up."""
        self.learner.run(self.loss, self.facts)

    def facts(self) -> dict[str, Any]:
        """What an export needs to know besides the weights."""
        return {"sizes": asdict(self._net.config), "recent": self.recent}

    @property
    def _net(self) -> MotionNet:
        net = self.learner.work
        assert isinstance(net, MotionNet)
        return net

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of all levels, over tokens that are motion."""
        window = self.windows.batch(self.samples, JOINS)
        with torch.no_grad():
            codes = self.codec.codes(window.features)
        told = self._told(window)
        heard = codes
        if self.learner.done >= OWN_FROM and self._chance() < 0.8:
            heard = self._own(codes, told)
        scores = self._scores(codes, heard, told)
        flat = cross_entropy(scores.flatten(0, 1), codes.flatten(), reduction="none", label_smoothing=SMOOTH)
        by_level = flat.unflatten(0, (-1, codes.shape[-1]))
        real = window.real.flatten()
        means = (by_level * real[:, None]).sum(0) / real.sum()
        right = (scores.argmax(-1) == codes.flatten(0, 1)).float() * real[:, None]
        parts = {f"level{n}": float(mean.detach()) for n, mean in enumerate(means)}
        return means.mean(), {**parts, "right": float(right[:, 0].sum() / real.sum())}

    def _chance(self) -> float:
        return float(torch.rand((), generator=self.generator))

    def _told(self, window: Window) -> dict[str, Tensor]:
        """Conditions (B * N, ...), some of them left out."""

        def kept(share: float) -> Tensor:
            return (torch.rand(self.samples, 1, 1, generator=self.generator) >= share).float()

        body = window.body[:, None].expand(-1, self.tokens, -1)
        told = {
            "text": window.text * kept(WORDLESS),
            "body": body * kept(BODILESS),
            "path": window.path * kept(PATHLESS),
        }
        return {name: value.flatten(0, 1) for name, value in told.items()}

    def _scores(self, codes: Tensor, heard: Tensor, told: dict[str, Tensor]) -> Tensor:
        """Scores (B * N, levels, codes) when the steps before were ``heard`` (B, N, levels)."""
        net = self._net
        before = torch.cat([torch.zeros_like(heard[:, :1]), heard[:, :-1]], 1).flatten(0, 1)
        known = (torch.arange(self.tokens) > 0).repeat(self.samples)
        view = SequenceView(self.samples, self.tokens, net.coords((1,)), net.rope, 1, self.recent)
        return net.scores(codes.flatten(0, 1), before, known, told, view).float()

    @torch.no_grad()
    def _own(self, codes: Tensor, told: dict[str, Tensor]) -> Tensor:
        """The steps before, some as the network itself would have drawn them (MotionStreamer's two passes)."""
        g = self.generator
        share = self._scores(codes, codes, told).softmax(-1).flatten(0, 1)
        drawn = torch.multinomial(share, 1, generator=g).reshape(codes.shape)
        chosen = torch.rand(self.samples, 1, 1, generator=g) < OWN_SHARE
        much = OWN_TOKENS * torch.rand(self.samples, 1, 1, generator=g)
        mixed = torch.rand(self.samples, self.tokens, 1, generator=g) < much
        return torch.where(chosen & mixed, drawn, codes)
