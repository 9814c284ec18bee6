"""Trains the forecasting network on latents: by flow matching, or, with a ``blind`` network, as a regression.

Every chunk is forecast under the context that it will have in use, which in the later part of the training is often
the network's own forecast. Time, weights, windows and losses are the same for both; the regression is shown zeros at
time 0 where the flow is shown noise at any time, so what it learns is the mean of what may come.

Letters: B sequences, K chunks, T frames of a chunk, C channels, h and w cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.learner import Learner, Pace
from unreel.engine.twin import TwinView, context_times, mix
from unreel.modalities.world.doom.data import Windows
from unreel.modalities.world.net import WorldNet, shares

GUESSES = (0.15, 0.4, 0.7)  # times at which a flow guesses the chunks that it is then shown as its past


@dataclass(frozen=True)
class Lesson:
    """``sequences`` windows of ``chunks`` chunks a step. From the share ``own_from`` of the time on, a share
    ``own_share`` of the steps has the network's own forecasts as context; a share ``dropout`` of the chunks is not told
    its actions, and ``start_share`` of them are learned at pure noise."""

    sequences: int = 4
    chunks: int = 8
    own_from: float = 0.2
    own_share: float = 0.4
    dropout: float = 0.05
    start_share: float = 0.15

    def __post_init__(self) -> None:
        if self.sequences < 1 or self.chunks < 2:
            raise UserError(f"a lesson has sequences of 2 chunks or more, got {self}")


class Trainer:
    """Goes on from ``out/NAME.pt``; without one from ``began["weights"]``, or from nothing.

    ``began`` tells what else is known of these weights (``steps``, ``minutes``, ``codec``), for the model's card.
    """

    def __init__(
        self, latents_NChw: Tensor, action_N: NDArray[np.int8], seed_N: NDArray[np.int32], pace: Pace, out: Path,
        name: str, sizes: Mapping[str, Any], lesson: Lesson | None = None, seed: int = 0,
        began: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        torch.manual_seed(seed)
        self.lesson, self.seed, self.began = lesson or Lesson(), seed, dict(began or {})
        channels, rows, columns = latents_NChw.shape[1:]
        net = WorldNet(**{**sizes, "channels": channels, "rows": rows, "columns": columns})
        self.config = net.config
        self.learner = Learner(net, pace, out, seed, name)
        self.learner.resume(self.began.get("weights", ""))
        self.windows = Windows(latents_NChw, action_N, seed_N, self.lesson.chunks * self.config.frames)

    def run(self) -> None:
        """Train until the time is used up."""
        self.learner.run(self.loss, self.facts)

    def facts(self) -> dict[str, Any]:
        """What an export needs to know besides the weights."""
        return {"net": asdict(self.config), "lesson": asdict(self.lesson), "seed": self.seed, "began": self.began}

    @property
    def net(self) -> WorldNet:
        net = self.learner.work
        assert isinstance(net, WorldNet)
        return net

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Squared error of what the layers draw, whose target has unit variance at every time."""
        c, g = self.lesson, self.learner.generator
        latents, actions = self.windows.batch(c.sequences, g)
        clean, actions = (x.unflatten(1, (c.chunks, self.config.frames)) for x in (latents, actions))
        dropped = torch.rand(c.sequences, c.chunks, 1, generator=g) < c.dropout
        actions = actions.masked_fill(dropped, self.config.actions)
        past = clean
        rolling = self.learner.done > c.own_from and float(torch.rand((), generator=g)) < c.own_share
        if rolling:
            past = self.own(clean, actions)
        times = self.times(c.sequences, c.chunks)
        drawn, states = self.drawn(past, clean, context_times(c.sequences, c.chunks, g), times, actions)
        keep, new = (part[..., None, None, None, None] for part in shares(times))
        error = (drawn - (clean - keep * states) / new).square().mean((2, 3, 4, 5))
        start = error.detach()[:, 1:][times[:, 1:] == 0]
        parts = {"start": float(start.mean()) if len(start) else float("nan"), "rolling": float(rolling)}
        return error.mean(), parts

    def times(self, sequences: int, chunks: int) -> Tensor:
        """Times (B, K) to learn at; the regression knows only 0."""
        if self.config.blind:
            return torch.zeros(sequences, chunks)
        g, c = self.learner.generator, self.lesson
        start = torch.rand(sequences, chunks, generator=g) < c.start_share
        return torch.sigmoid(1.2 * torch.randn(sequences, chunks, generator=g) - 0.4).masked_fill(start, 0.0)

    @torch.no_grad()
    def own(self, clean: Tensor, actions: Tensor) -> Tensor:
        """The chunks as the network forecasts them, one or two generations deep; the first stays real.

        A flow takes some noise off the real chunk, so that its guess is as sharp as what it will make itself.
        """
        past, (sequences, chunks), g = clean, clean.shape[:2], self.learner.generator
        for _ in range(1 + int(torch.randint(2, (), generator=g))):
            pick = torch.randint(len(GUESSES), (sequences, 1), generator=g)
            times = torch.tensor(GUESSES)[pick].expand(sequences, chunks)
            times = torch.zeros(sequences, chunks) if self.config.blind else times
            drawn, states = self.drawn(past, clean, torch.ones(sequences, chunks), times, actions)
            keep, new = (part[..., None, None, None, None] for part in shares(times))
            past = torch.cat((clean[:, :1], (keep * states + new * drawn)[:, 1:]), 1)
        return past

    def drawn(
        self, past: Tensor, clean: Tensor, past_times: Tensor, times: Tensor, actions: Tensor
    ) -> tuple[Tensor, Tensor]:
        """What the layers draw for ``clean`` mixed at ``times`` under the context ``past``, and the states they saw.

        All are (B, K, T, C, h, w).
        """
        net, g = self.net, self.learner.generator
        before = mix(past, torch.randn(past.shape, generator=g), past_times)
        now = mix(clean, torch.randn(clean.shape, generator=g), times)
        now = net.seen(now.flatten(0, 1), times.flatten()).view_as(now)
        previous = torch.cat((torch.zeros_like(before[:, :1]), before[:, :-1]), 1)
        previous_time = torch.cat((torch.zeros_like(past_times[:, :1]), past_times[:, :-1]), 1)

        def rows(context: Tensor, noisy: Tensor) -> Tensor:
            return torch.cat((context[:, :-1].flatten(0, 1), noisy.flatten(0, 1)))

        view = TwinView(*clean.shape[:2], net.coords(clean.shape[2:]), net.rope, clean.shape[2])
        condition = {
            "action": rows(actions, actions),
            "previous": rows(previous, previous),
            "previous_time": rows(previous_time, previous_time),
        }
        out = net.drawn(rows(before, now), rows(past_times, times), view, condition)
        return out[view.context_rows :].view_as(clean), now
