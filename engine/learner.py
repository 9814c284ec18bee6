"""What every trainer does alike: resumable steps on a CPU, cut at any time.

float32 weights, a working copy in bfloat16 (channels last) that does the arithmetic, AdamW, gradients cut at ``clip``,
and an average of the weights (EMA), which is what gets shipped. The rate rises, stays and falls in a half cosine by the
time that is used up, not by steps: whoever has little time still gets a finished run.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unreel.engine.errors import UserError
from unreel.engine.weights import fill, read_tensors

Loss = Callable[[], tuple[Tensor, dict[str, float]]]  # a loss to be lowered, and numbers for the log


@dataclass(frozen=True)
class Pace:
    """``minutes`` is the whole run, over all resumptions; ``rate`` rises over ``warmup`` steps and falls from the share
    ``decay_from`` of the time on. ``samples`` losses make one step."""

    minutes: float
    rate: float = 1e-3
    warmup: int = 100
    decay_from: float = 0.6
    ema: float = 0.998
    clip: float = 1.0
    samples: int = 1
    save_minutes: float = 3.0
    log_every: int = 10

    def __post_init__(self) -> None:
        if self.minutes <= 0 or self.rate <= 0 or self.samples < 1 or not 0 <= self.decay_from < 1:
            raise UserError(
                f"training takes minutes and a rate above 0, samples of 1 or more and decay_from in 0..1, got {self}"
            )


class Learner:
    """Weights, optimiser, average, clock and random stream of one run; ``out/checkpoint.pt`` holds them all.

    ``dtype`` is the working copy's. Buffers that a network changes while it trains (codebooks) are that copy's as well,
    and go from there to the others.
    """

    def __init__(
        self, net: nn.Module, pace: Pace, out: Path, seed: int = 0, name: str = "checkpoint",
        dtype: torch.dtype = torch.bfloat16,
    ) -> None:  # fmt: skip
        self.master, self.pace, self.out, self.name = net, pace, out, name
        self.optimiser = torch.optim.AdamW(
            net.parameters(), lr=pace.rate, betas=(0.9, 0.98), weight_decay=0.01, foreach=True
        )
        self.average = copy.deepcopy(net).requires_grad_(False)
        self.work = copy.deepcopy(net).to(dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.generator = torch.Generator().manual_seed(seed)
        self.step, self.seconds = 0, 0.0
        out.mkdir(parents=True, exist_ok=True)

    @property
    def path(self) -> Path:
        return self.out / f"{self.name}.pt"

    @property
    def done(self) -> float:
        """The share of the time that is used up."""
        return self.seconds / (self.pace.minutes * 60)

    # ---- checkpoints -----------------------------------------------------------------------------------------

    def save(self, facts: Mapping[str, Any]) -> None:
        """Write everything in one step, with ``facts`` (plain data) for whoever exports it."""
        content = {
            **facts, "step": self.step, "seconds": self.seconds, "master": self.master.state_dict(),
            "average": self.average.state_dict(), "optimiser": self.optimiser.state_dict(),
            "random": self.generator.get_state(),
        }  # fmt: skip
        partial = self.path.with_suffix(".tmp")
        torch.save(content, partial)
        os.replace(partial, self.path)

    def resume(self, warm: str = "") -> None:
        """Go on from the run's own checkpoint; without one begin anew, from the weights ``warm`` if they are given:
        another run's checkpoint, or what was shipped (safetensors)."""
        if self.path.exists():
            content = torch.load(self.path, weights_only=True)
            self.master.load_state_dict(content["master"])
            self.average.load_state_dict(content["average"])
            self.optimiser.load_state_dict(content["optimiser"])
            self.step, self.seconds = content["step"], content["seconds"]
            if "random" in content:
                self.generator.set_state(content["random"])
        elif warm:
            path = Path(warm)
            shipped = path.suffix == ".safetensors"
            weights = read_tensors(path) if shipped else torch.load(path, weights_only=True)["average"]
            fill(self.master, weights, path)
            fill(self.average, weights, path)
        with torch.no_grad():
            self._refresh()
            for work, master in zip(self.work.buffers(), self.master.buffers(), strict=True):
                work.copy_(master)

    def _refresh(self) -> None:
        """Bring the working copy up to date."""
        for work, master in zip(self.work.parameters(), self.master.parameters(), strict=True):
            work.copy_(master)

    # ---- steps -----------------------------------------------------------------------------------------------

    def run(self, loss: Loss, facts: Callable[[], Mapping[str, Any]], after: Callable[[], None] | None = None) -> None:
        """Steps until the time is used up; saves now and then and at the end. ``after`` is called after every step."""
        began, before = time.monotonic(), self.seconds
        saved = began
        while self.done < 1:
            record = self.update(loss)
            now = time.monotonic()
            self.seconds = before + now - began
            if after is not None:
                after()
            if self.step % self.pace.log_every == 0:
                self._log(record)
            if now - saved > self.pace.save_minutes * 60:
                self.save(facts())
                saved = now
        self.save(facts())

    def _log(self, record: Mapping[str, float]) -> None:
        numbers = {"step": self.step, "minutes": round(self.seconds / 60, 3), **record}
        with (self.out / f"{self.name.replace('checkpoint', 'log')}.jsonl").open("a") as file:
            file.write(json.dumps(numbers) + "\n")

    def rate(self) -> float:
        """Learning rate: linear warm-up, flat, then a half cosine to 2 % at the end of the time."""
        pace = self.pace
        fall = max(0.0, (self.done - pace.decay_from) / (1 - pace.decay_from))
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, fall)))
        return pace.rate * min(1.0, (self.step + 1) / pace.warmup) * cosine

    def update(self, loss: Loss) -> dict[str, float]:
        """One step of the optimiser. Returns the mean loss and its parts."""
        began = time.monotonic()
        records = []
        for _ in range(self.pace.samples):
            value, parts = loss()
            (value / self.pace.samples).backward()
            records.append({"loss": float(value.detach()), **parts})
        masters, works = list(self.master.parameters()), list(self.work.parameters())
        for m, w in zip(masters, works, strict=True):
            m.grad = torch.zeros_like(m) if w.grad is None else w.grad.float()
            w.grad = None
        norm = torch.nn.utils.clip_grad_norm_(masters, self.pace.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.step()
        decay = min(self.pace.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            self._refresh()
            for kept, master in zip(self.average.parameters(), masters, strict=True):
                kept.lerp_(master, 1 - decay)
            for other in (self.master, self.average):
                for mine, work in zip(other.buffers(), self.work.buffers(), strict=True):
                    mine.copy_(work)
        self.step += 1
        mean = {name: sum(r[name] for r in records) / len(records) for name in records[0]}
        mean |= {"norm": float(norm), "rate": self.rate(), "seconds": time.monotonic() - began}
        return {name: round(value, 6) for name, value in mean.items()}
