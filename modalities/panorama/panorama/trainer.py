"""Trains `panorama`: resumable, cut at any time, on a CPU.

From `rollout_from` of the time on, a share of the samples is surrounded by the network's own pictures instead of real
ones.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unreel.engine.backbone.conv import fold_pixels
from unreel.engine.learner import Learner, Pace
from unreel.modalities.panorama.cubemap import faces_from_view, pad_faces
from unreel.modalities.panorama.data import PLACES, Panorama, load_panoramas, split
from unreel.modalities.panorama.draft import draft
from unreel.modalities.panorama.memory import impression, remembered
from unreel.modalities.panorama.net import PanoramaNet
from unreel.modalities.panorama.panorama.forcing import RowMaker, Scene, Wish, masked, predict, roughened
from unreel.modalities.panorama.panorama.worlds import World, track


@dataclass(frozen=True)
class TrainConfig:
    """One run. ``minutes`` is the length of the learning-rate plan, counted over all resumptions."""

    data: str
    out: str
    minutes: float = 70.0
    threads: int = 1
    samples: int = 2
    learn: int = 4
    rate: float = 1e-3
    warmup: int = 100
    decay_from: float = 0.6
    ema: float = 0.998
    first_share: float = 0.65
    blind_share: float = 0.15
    recall_share: float = 0.6
    draftless_share: float = 0.15
    unnamed_share: float = 0.15
    start_share: float = 0.2
    rollout_from: float = 0.5
    rollout_share: float = 0.25
    edges: float = 1.0
    save_minutes: float = 3.0
    seed: int = 0
    warm: str = ""
    net: dict[str, Any] = field(default_factory=dict)


class Trainer:
    """What is learned from, and how far off the network is; the steps themselves are a ``Learner``'s."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        folder = Path(config.data)
        self.train, self.held_out = split(load_panoramas(folder), folder)
        self.places = place_names(self.train)
        self.net = PanoramaNet(**{**config.net, "places": len(self.places)})
        self.rows = RowMaker(self.net)
        pace = Pace(
            config.minutes, config.rate, config.warmup, config.decay_from, config.ema, clip=0.3,
            samples=config.samples, save_minutes=config.save_minutes,
        )  # fmt: skip
        self.learner = Learner(self.net, pace, Path(config.out), config.seed)
        self.learner.resume(config.warm)
        self.generator = self.learner.generator

    def run(self) -> None:
        """Train until the time is used up; goes on where an earlier run was cut."""
        self.learner.run(self.loss, self.facts)

    def facts(self) -> dict[str, Any]:
        """What an export needs to know besides the weights."""
        return {
            "config": asdict(self.config), "net": asdict(self.net.config), "places": self.places,
            "trained_on": [p.name for p in self.train], "held_out": [p.name for p in self.held_out],
        }  # fmt: skip

    # ---- what is learned from ------------------------------------------------------------------------------

    def chance(self, share: float) -> bool:
        """True in ``share`` of the cases."""
        return bool(torch.rand((), generator=self.generator) < share)

    def scene(self, windows: int, ahead: bool) -> Scene:
        """A random piece of a random training world."""
        c, net, g = self.config, self.net.config, self.generator
        panorama = self.train[int(torch.randint(len(self.train), (), generator=g))]
        world = World.drawn(panorama.picture_3HW, g)
        faces, moving = world.faces(net.size, range(1 + windows * net.frames))
        views, guess = torch.zeros(0, 6, 4, net.size, net.size), None
        if self.chance(c.blind_share):
            if windows == 1 and self.chance(c.recall_share):
                guess = remembered(impression(faces[:1]), net.canvas)[0]
        else:
            cameras, height, width = track((windows + ahead) * net.frames, g)
            views = seen(world.views(cameras, height, width, begin=1), cameras, net.size)
            if windows == 1 and not self.chance(c.draftless_share):
                guess = draft_of(views, cameras, height / width, net.frames, net.pad)
        known = panorama.place is not None and not self.chance(c.unnamed_share)
        place = self.places.index(str(panorama.place)) if known else len(self.places)
        return Scene(faces, moving, views, place, guess)

    def wish(self, scene: Scene, number: int, ahead: bool) -> Wish:
        """A random order, and which of its places to learn."""
        c, n, g = self.config, self.net.config.frames, self.generator
        cover = scene.views[number * n : (number + 1) * n, :, 3].mean((0, 2, 3)) if len(scene.views) else torch.zeros(6)
        order = torch.randperm(6, generator=g)
        if self.chance(0.5):
            order = cover.argsort(descending=True, stable=True)
        liking = torch.rand(6, generator=g) - (cover[order] > 0.95).float()  # a face that is all given teaches little
        learn = tuple(sorted(liking.topk(min(c.learn, 6)).indices.tolist()))
        times = noisy_times(len(learn), c.start_share, g)
        before = scene.window(number - 1, n) if number else None
        last = earlier = None
        if before is not None:
            last = masked(roughened(before[-1:], g), 0.5)
            earlier = masked(scene.faces[:1], 0.5) if self.chance(0.6) else None
            before = roughened(before, g)
        made = roughened(scene.window(number, n), g)
        keep, given = (
            tuple(f for f in range(6) if not dropping or self.chance(0.6))
            for dropping in (self.chance(0.5), self.chance(0.2))
        )
        return Wish(number, tuple(order.tolist()), learn, times, before, last, made, earlier, keep, given, ahead)

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Weighted squared error of the clean predictions of one scene's noisy rows."""
        c, g = self.config, self.generator
        windows, ahead = (1 if self.chance(c.first_share) else 2), self.chance(0.3)
        scene = self.scene(windows, ahead)
        wish = self.wish(scene, windows - 1, ahead)
        if self.learner.done > c.rollout_from and self.chance(c.rollout_share):
            wish = self.own(scene, wish)
        rows = self.rows.make(scene, wish)
        clean = fold_pixels(rows.target, self.net.config.fold)
        out = predict(self.learner.work, rows, mixed(clean, wish.times, g))
        scale = (1 / ((1 - wish.times) ** 2 + 0.15))[:, None, None, None, None]
        difference = out - rows.target
        weighted = rows.weight * scale
        loss = (difference.square() * weighted).mean() + 0.02 * (difference.abs() * rows.weight).mean()
        if c.edges:
            loss = loss + c.edges * sum(
                (difference.diff(dim=d).square() * weighted.narrow(d, 0, weighted.shape[d] - 1)).mean()
                for d in (-1, -2)
            )
        plain = difference.detach().square().mean((1, 2, 3, 4))
        start = wish.times == 0
        parts = {"mse": float(plain.mean()), "start": float(plain[start].mean()) if start.any() else 0.0}
        return loss, parts | {"rows": float(len(rows.clean))}

    @torch.no_grad()
    def own(self, scene: Scene, wish: Wish) -> Wish:
        """The wish with the network's own pictures of real ones (not too noisy) in place of what is made or past."""
        g, n = self.generator, self.net.config.frames
        number = wish.number if wish.before is None or self.chance(0.4) else 0
        source = wish if number == wish.number else Wish(0, wish.order, (), wish.times, None, None, scene.window(0, n))
        times = 0.35 + 0.5 * torch.rand(6, generator=g)
        rows = self.rows.make(scene, Wish(**{**vars(source), "learn": tuple(range(6)), "times": times}))
        states = mixed(fold_pixels(rows.target, self.net.config.fold), times, g)
        pad, size = self.net.config.pad, self.net.config.size
        made = predict(self.learner.work, rows, states)[..., pad : pad + size, pad : pad + size].clamp(-1, 1)
        faces = torch.empty_like(scene.window(0, n))
        faces[:, list(wish.order)] = made.transpose(0, 1)
        if number == wish.number:
            return Wish(**{**vars(wish), "made": faces})
        return Wish(**{**vars(wish), "before": faces, "last": masked(faces[-1:], 0.5)})


def seen(pictures_T3HW: Tensor, cameras_T4: Tensor, size: int) -> Tensor:
    """Pictures on the faces: (T, 6, 4, size, size), RGB times coverage, and coverage."""
    colour, cover = faces_from_view(pictures_T3HW, cameras_T4, size).split((3, 1), 2)
    return torch.cat((colour * cover, cover), 2)


def draft_of(views_T64SS: Tensor, cameras_T4: Tensor, aspect: float, frames: int, pad: int) -> Tensor:
    """The draft (6, 4, P, P) of a first window of ``frames``: that of its last frame. ``aspect``: height over width."""
    roll, pitch, yaw, fov = cameras_T4[frames - 1].tolist()
    fov_y = 2 * math.degrees(math.atan(math.tan(math.radians(fov) / 2) * aspect))
    last = pad_faces(views_T64SS[frames - 1 : frames], pad)[0]
    return draft(last, torch.tensor([roll, pitch, yaw, fov, fov_y]), pad)


def place_names(panoramas: list[Panorama]) -> list[str]:
    """The kinds of place there are, those of the shipped model first and in their order."""
    found = {p.place for p in panoramas if p.place is not None}
    return [name for name in PLACES if name in found] + sorted(found - set(PLACES))


def noisy_times(count: int, start_share: float, generator: torch.Generator) -> Tensor:
    """Times (count,) to learn at: ``start_share`` at pure noise, the rest logit-normal."""
    normal = torch.randn(count, generator=generator)
    start = torch.rand(count, generator=generator) < start_share
    return torch.where(start, torch.zeros(()), torch.sigmoid(1.3 * normal - 0.2))


def mixed(clean: Tensor, times_R: Tensor, generator: torch.Generator) -> Tensor:
    """States at ``times``: ``t * clean + (1 - t) * noise``."""
    t = times_R[:, None, None, None, None]
    return t * clean + (1 - t) * torch.randn(clean.shape, generator=generator)
