"""The trainer: what is learned from, and how far off the network is; the steps themselves are a ``Learner``'s.

All that is random in a step follows from the seed and the step's number, so a resumed run is the run that was never
stopped.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.learner import Learner, Pace
from unreel.engine.rng import mixed_seed
from unreel.modalities.rig.net import RigNet
from unreel.modalities.rig.rig.bodies import Character, load_characters
from unreel.modalities.rig.rig.examples import Augment, make_example
from unreel.modalities.rig.rig.lesson import PARTS, Batch, batch_of, draw, losses
from unreel.modalities.rig.subject import POINTS

CHECKED = 24  # held-out characters whose losses are logged


@dataclass(frozen=True)
class TrainConfig:
    """One run. ``minutes`` is all of its length, resumptions included; the learning rate falls over the last part.

    ``link``, ``end`` and ``skin`` are weights of the losses beside the flow's; ``off`` is how far told positions are
    off at most, in unit boxes; ``asked`` points of each body teach its skin, ``draws`` of noise each joint.
    """

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
    off: float = 0.025
    link: float = 0.3
    end: float = 0.3
    skin: float = 0.3
    seed: int = 0
    save_minutes: float = 5.0
    log_every: int = 20
    check_every: int = 500
    net: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if min(self.threads, self.batch, self.draws, self.asked, self.check_every) < 1:
            raise UserError("a training of rigs needs threads, batch, draws, asked and check_every of 1 or more")


class Trainer:
    """Made from a plan; takes up ``out/checkpoint.pt`` if there is one."""

    def __init__(self, config: TrainConfig, sides: tuple[list[Character], list[Character]] | None = None) -> None:
        self.config = config
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        self.net = RigNet(**config.net)
        self.train, self.held_out = sides or load_characters(Path(config.data), self.net.config.joints)
        self.groups = grouped(self.train)
        joints = np.asarray([len(group[0].skeleton) for group in self.groups], np.float64)
        self.chances = np.sqrt(joints) / np.sqrt(joints).sum()
        pace = Pace(
            config.minutes, config.rate, config.warmup, config.decay_from, config.ema,
            save_minutes=config.save_minutes, log_every=config.log_every,
        )  # fmt: skip
        self.learner = Learner(self.net, pace, Path(config.out), config.seed)
        if self.learner.path.exists() and read_checkpoint(self.learner.path)["net"] != asdict(self.net.config):
            raise UserError(f"{self.learner.path} is of a network of other sizes: give another --out, or these sizes")
        self.learner.resume()

    def run(self) -> None:
        """Train until the time is used up; goes on where an earlier run was cut."""
        self.learner.run(self.loss, self.facts, self.after)

    def facts(self) -> dict[str, Any]:
        """What an export needs to know besides the weights."""
        return {
            "config": asdict(self.config), "net": asdict(self.net.config),
            "trained_on": sorted(one.name for one in self.train),
            "held_out": sorted(one.name for one in self.held_out),
        }  # fmt: skip

    def after(self) -> None:
        """Now and then a line of ``out/held-out.jsonl``."""
        if self.learner.step % self.config.check_every == 0:
            line = {"step": self.learner.step, "minutes": round(self.learner.seconds / 60, 3), **self.check()}
            with (self.learner.out / "held-out.jsonl").open("a") as file:
                file.write(json.dumps(line) + "\n")

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """The weighted sum of the parts on the batch of the step at hand."""
        c, step = self.config, self.learner.step
        batch, generator = self.batch(step), torch.Generator().manual_seed(mixed_seed(c.seed, step))
        parts = losses(self.learner.work, batch, draw(batch, c.draws, c.off, generator))
        weights = dict(zip(PARTS, (1.0, c.link, c.end, c.skin), strict=True))
        whole = torch.stack([weights[name] * part for name, part in parts.items()]).sum()
        return whole, {name: float(part.detach()) for name, part in parts.items()}

    # ---- what is learned from ------------------------------------------------------------------------------

    def batch(self, step: int) -> Batch:
        """The batch of a step. How likely a character is does not depend on the number of its files; those with more
        joints, of which there is more to learn, are likelier by the square root."""
        c, net = self.config, self.net.config
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
            batch = batch_of([make_example(one, c.points, self.net.config.tokens, c.asked, rng, None)])
            found.append(losses(self.learner.average, batch, draw(batch, 8, 0.0, generator)))  # type: ignore[arg-type]
        return {name: float(torch.stack([part[name] for part in found]).mean()) for name in PARTS}


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
