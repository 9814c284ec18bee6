"""The trainer: float32 weights, bfloat16 work, an average that is shipped. Begins again where it was cut off.

All that is random in a step follows from the seed and the step's number, so a resumed run is the run that was never
stopped.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unreel.engine.errors import UserError
from unreel.engine.rng import mixed_seed
from unreel.modalities.rig.net import RigNet
from unreel.modalities.rig.rig.bodies import Character, load_characters
from unreel.modalities.rig.rig.examples import Augment, make_example
from unreel.modalities.rig.rig.lesson import PARTS, Batch, batch_of, draw, losses
from unreel.modalities.rig.subject import POINTS

CHECKED = 24  # held-out characters whose losses are logged


@dataclass(frozen=True)
class TrainConfig:
    """One run. ``minutes`` is all of its length, resumptions included; the learning rate falls over the last part."""

    data: str
    out: str
    minutes: float = 240.0
    threads: int = 1
    batch: int = 8
    draws: int = 4
    asked: int = 128
    points: int = POINTS
    rate: float = 6e-4
    warmup: int = 300
    decay_from: float = 0.5
    ema: float = 0.999
    off: float = 0.015
    link: float = 0.3
    end: float = 0.3
    skin: float = 0.3
    seed: int = 0
    save_minutes: float = 5.0
    log_every: int = 20
    check_every: int = 500
    half: bool = True  # work in bfloat16
    net: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.minutes <= 0 or min(self.threads, self.batch, self.draws, self.asked, self.log_every) < 1:
            raise UserError("a training needs minutes above 0, and threads, batch, draws and asked of 1 or more")


class Trainer:
    """Made from a plan; takes up ``out/checkpoint.pt`` if there is one."""

    def __init__(self, config: TrainConfig, sides: tuple[list[Character], list[Character]] | None = None) -> None:
        self.config = config
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.master = RigNet(**config.net)
        self.train, self.held_out = sides or load_characters(Path(config.data), self.master.config.joints)
        self.groups = grouped(self.train)
        joints = np.asarray([len(group[0].skeleton) for group in self.groups], np.float64)
        self.chances = np.sqrt(joints) / np.sqrt(joints).sum()
        self.optimiser = torch.optim.AdamW(
            self.master.parameters(), lr=config.rate, betas=(0.9, 0.98), weight_decay=0.02, foreach=True
        )
        self.average = copy.deepcopy(self.master).requires_grad_(False)
        self.step, self.seconds = 0, 0.0
        self.out = Path(config.out)
        self.out.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self.restore(self.path)
        self.work = copy.deepcopy(self.master).to(torch.bfloat16 if config.half else torch.float32)

    @property
    def path(self) -> Path:
        return self.out / "checkpoint.pt"

    def save(self) -> None:
        """Write everything, atomically."""
        content = {
            "config": asdict(self.config), "net": asdict(self.master.config), "step": self.step,
            "seconds": self.seconds, "master": self.master.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(), "trained_on": sorted(one.name for one in self.train),
            "held_out": sorted(one.name for one in self.held_out),
        }  # fmt: skip
        partial = self.path.with_suffix(".tmp")
        torch.save(content, partial)
        os.replace(partial, self.path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint.

        Raises:
            UserError: it is of a network of other sizes.
        """
        content = torch.load(path, weights_only=True)
        if content["net"] != asdict(self.master.config):
            raise UserError(f"{path} is of a network of other sizes: give another --out, or these sizes")
        self.master.load_state_dict(content["master"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.step, self.seconds = content["step"], content["seconds"]

    def run(self) -> None:
        """Train until the run's time is used up; saves now and then and at the end."""
        began, before = time.monotonic(), self.seconds
        saved = began
        while self.seconds < self.config.minutes * 60:
            record = self.update()
            now = time.monotonic()
            self.seconds = before + now - began
            if self.step % self.config.log_every == 0:
                self.log(record)
            if self.step % self.config.check_every == 0:
                self.log(self.check())
            if now - saved > self.config.save_minutes * 60:
                self.save()
                saved = now
        self.save()

    def log(self, record: dict[str, float]) -> None:
        """A line of ``out/log.jsonl``."""
        line = {
            "step": self.step,
            "minutes": round(self.seconds / 60, 3),
            **{k: round(v, 5) for k, v in record.items()},
        }
        with (self.out / "log.jsonl").open("a") as file:
            file.write(json.dumps(line) + "\n")

    def rate(self) -> float:
        """Learning rate: linear warm-up, flat, then a half cosine to 2 % at the end of the time."""
        c, done = self.config, self.seconds / (self.config.minutes * 60)
        fall = max(0.0, (done - c.decay_from) / (1 - c.decay_from))
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, fall)))
        return c.rate * min(1.0, (self.step + 1) / c.warmup) * cosine

    def update(self) -> dict[str, float]:
        """One step of the optimiser. Returns the loss and its parts."""
        began = time.monotonic()
        batch, generator = self.batch(self.step), torch.Generator().manual_seed(mixed_seed(self.config.seed, self.step))
        made = time.monotonic()
        parts = losses(self.work, batch, draw(batch, self.config.draws, self.config.off, generator))
        loss = self.total(parts)
        loss.backward()
        masters, works, averages = (
            list[torch.Tensor](net.parameters()) for net in (self.master, self.work, self.average)
        )
        for m, w in zip(masters, works, strict=True):
            m.grad = torch.zeros_like(m) if w.grad is None else w.grad.float()
            w.grad = None
        norm = torch.nn.utils.clip_grad_norm_(masters, 1.0)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate()
        self.optimiser.step()
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        with torch.no_grad():
            torch._foreach_copy_(works, masters)
            torch._foreach_lerp_(averages, masters, 1 - decay)
        self.step += 1
        record = {"loss": float(loss.detach()), **{name: float(part.detach()) for name, part in parts.items()}}
        now = time.monotonic()
        return record | {"norm": float(norm), "rate": self.rate(), "data_s": made - began, "seconds": now - began}

    def total(self, parts: dict[str, torch.Tensor]) -> torch.Tensor:
        """The weighted sum of the parts."""
        c = self.config
        weights = dict(zip(PARTS, (1.0, c.link, c.end, c.skin), strict=True))
        return torch.stack([weights[name] * part for name, part in parts.items()]).sum()

    # ---- what is learned from ------------------------------------------------------------------------------

    def batch(self, step: int) -> Batch:
        """The batch of a step. How likely a character is does not depend on the number of its files; those with more
        joints, of which there is more to learn, are likelier by the square root."""
        c, net = self.config, self.master.config
        examples = []
        for number in range(c.batch):
            rng = np.random.default_rng((c.seed, step, number))
            group = self.groups[int(rng.choice(len(self.groups), p=self.chances))]
            one = group[int(rng.integers(len(group)))]
            examples.append(make_example(one, c.points, net.tokens, c.asked, rng, Augment()))
        return batch_of(examples)

    @torch.no_grad()
    def check(self) -> dict[str, float]:
        """Losses of the averaged weights on held-out characters as they are, always with the same noise."""
        c, found = self.config, []
        chosen = self.held_out[:: max(1, len(self.held_out) // CHECKED)]
        for number, one in enumerate(chosen):
            rng, generator = np.random.default_rng(number), torch.Generator().manual_seed(number)
            batch = batch_of([make_example(one, c.points, self.master.config.tokens, c.asked, rng, None)])
            found.append(losses(self.average, batch, draw(batch, 8, 0.0, generator)))
        return {f"held_out_{name}": float(torch.stack([part[name] for part in found]).mean()) for name in PARTS}


def grouped(characters: Sequence[Character]) -> list[list[Character]]:
    """Files of the same character together."""
    groups: dict[str, list[Character]] = {}
    for one in characters:
        groups.setdefault(one.group, []).append(one)
    return list(groups.values())


def read_checkpoint(path: Path) -> dict[str, Any]:
    """A checkpoint's content.

    Raises:
        UserError: there is none.
    """
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}: train first, as in `unreel train rig --data FOLDER`")
    content: dict[str, Any] = torch.load(path, weights_only=True)
    return content
