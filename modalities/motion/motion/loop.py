"""What both trainings share: time as the budget, an average of the weights, checkpoints that are whole, a log."""

from __future__ import annotations

import copy
import json
import math
import os
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Pace:
    """``minutes`` of training, resumptions included; peak learning ``rate``; ``decay_from`` this share on it falls."""

    minutes: float
    rate: float
    warmup: int = 100
    decay_from: float = 0.5
    ema: float = 0.995
    save_minutes: float = 2.0


class Loop(ABC):
    """Trains ``net`` by ``loss`` until its time is used up. Goes on from ``path`` where there is a checkpoint."""

    def __init__(self, net: nn.Module, pace: Pace, path: Path, seed: int) -> None:
        self.net, self.pace, self.path = net, pace, path
        self.average = copy.deepcopy(net).requires_grad_(False).eval()
        self.optimiser = torch.optim.AdamW(net.parameters(), lr=pace.rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.generator = torch.Generator().manual_seed(seed)
        self.step, self.seconds = 0, 0.0
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            self._restore(torch.load(path, weights_only=True))

    @abstractmethod
    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch, and its parts for the log."""

    def extra(self) -> dict[str, Any]:
        """What else a checkpoint holds."""
        return {}

    @property
    def done(self) -> float:
        """Share of the time that is used up."""
        return min(1.0, self.seconds / (self.pace.minutes * 60))

    def rate(self) -> float:
        """Warm-up, flat, then half a cosine down to a fiftieth."""
        fall = max(0.0, (self.done - self.pace.decay_from) / (1 - self.pace.decay_from))
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * fall))
        return self.pace.rate * min(1.0, (self.step + 1) / self.pace.warmup) * cosine

    def run(self) -> None:
        """Train; saves now and then and at the end."""
        began, before = time.monotonic(), self.seconds
        saved, log = began, self.path.with_suffix(".jsonl")
        while self.seconds < self.pace.minutes * 60:
            record = self.update()
            now = time.monotonic()
            self.seconds = before + now - began
            if self.step % 20 == 1:
                line = {"step": self.step, "minutes": round(self.seconds / 60, 3), **record}
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
            if now - saved > self.pace.save_minutes * 60:
                self.save()
                saved = now
        self.save()

    def update(self) -> dict[str, float]:
        """One step of the optimiser; the loss and its parts."""
        self.net.train()
        loss, parts = self.loss()
        self.optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.step()
        decay = min(self.pace.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), list(self.net.parameters()), 1 - decay)
            for mine, theirs in zip(self.average.buffers(), self.net.buffers(), strict=True):
                mine.copy_(theirs)
        self.step += 1
        numbers = {"loss": float(loss.detach()), **parts, "norm": float(norm), "rate": self.rate()}
        return {name: round(number, 6) for name, number in numbers.items()}

    def save(self) -> None:
        """Write everything, atomically."""
        content = {
            "net": self.net.state_dict(), "average": self.average.state_dict(), "step": self.step,
            "optimiser": self.optimiser.state_dict(), "seconds": self.seconds, "random": self.generator.get_state(),
            **self.extra(),
        }  # fmt: skip
        partial = self.path.with_suffix(".tmp")
        torch.save(content, partial)
        os.replace(partial, self.path)

    def _restore(self, content: dict[str, Any]) -> None:
        self.net.load_state_dict(content["net"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.generator.set_state(content["random"])
        self.step, self.seconds = content["step"], content["seconds"]
