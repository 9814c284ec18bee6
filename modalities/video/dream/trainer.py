"""Trains `dream`: resumable, cut at any time, on a CPU.

float32 weights, bf16 arithmetic; AdamW; an average of the weights (EMA) is what is shipped. From
`rollout_from` of the time on, a share of the sequences has the network's own predictions as context.
"""

from __future__ import annotations

import copy
import json
import math
import os
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unreel.engine.backbone.conv import fold_pixels, unfold_pixels
from unreel.engine.twin import TwinView, context_times, mix
from unreel.engine.weights import fill, read_tensors
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream import forcing
from unreel.modalities.video.dream.data import Windows, backdrop_of, load_shards
from unreel.modalities.video.dream.measure import fish_mask, player_mask
from unreel.modalities.video.dream.net import Corner, DreamNet, Encoded, cut
from unreel.modalities.video.dream.peers import Peers


@dataclass(frozen=True)
class TrainConfig:
    """One run. ``minutes`` is the length of the learning-rate plan, counted over all resumptions."""

    data: str
    out: str
    minutes: float = 60.0
    threads: int = 2
    sequences: int = 2
    chunks: int = 6
    crop: int = 4
    crops: int = 8
    crop_share: float = 0.5
    rate: float = 1e-3
    warmup: int = 150
    decay_from: float = 0.55
    ema: float = 0.999
    peak: float = 15.0
    player_peak: float = 40.0
    entry: float = 2.0
    fade_share: float = 0.35
    rollout_from: float = 0.25
    rollout_share: float = 0.4
    guess_share: float = 0.5
    dropout: float = 0.1
    save_minutes: float = 2.0
    seed: int = 0
    rank: int = 0
    workers: int = 1
    meet_every: int = 20
    warm: str = ""
    net: dict[str, Any] = field(default_factory=dict)


def to_bytes(pixels_BT3PP: Tensor) -> Frames:
    """Pixels in [-1, 1] as frames uint8 (B, T, P, P, 3)."""
    frames: Frames = ((pixels_BT3PP.clamp(-1, 1) + 1) * 127.5).round().byte().movedim(2, -1).numpy()
    return frames


class Trainer:
    """Weights, optimiser, average and clock: all that a checkpoint holds."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        torch.set_num_threads(config.threads)
        torch.manual_seed(config.seed)
        shards = load_shards(Path(config.data))
        self.windows = Windows(shards, 2 * config.chunks, config.seed + 1000 * config.rank)
        self.master = DreamNet(**config.net)
        self.master.backdrop.data.copy_(backdrop_of(shards))
        self.optimiser = torch.optim.AdamW(
            self.master.parameters(), lr=config.rate, betas=(0.9, 0.98), weight_decay=0.01, foreach=True
        )
        self.average = copy.deepcopy(self.master).requires_grad_(False)
        self.step, self.seconds = 0, 0.0
        self.out = Path(config.out)
        self.out.mkdir(parents=True, exist_ok=True)
        if self.path.exists():
            self.restore(self.path)
        elif config.warm:
            self.warm_up(Path(config.warm))
        self.work = copy.deepcopy(self.master).to(torch.bfloat16, memory_format=torch.channels_last)
        self.generator = torch.Generator().manual_seed((config.seed + config.rank) * 10**6 + self.step)
        self.peers = Peers(self.out / "peers", config.rank, config.workers)

    @property
    def path(self) -> Path:
        return self.out / ("checkpoint.pt" if self.config.rank == 0 else f"checkpoint{self.config.rank}.pt")

    def save(self) -> None:
        """Write everything, atomically."""
        content = {
            "config": asdict(self.config), "net": asdict(self.master.config), "step": self.step,
            "seconds": self.seconds, "master": self.master.state_dict(), "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }  # fmt: skip
        partial = self.path.with_suffix(".tmp")
        torch.save(content, partial)
        os.replace(partial, self.path)

    def restore(self, path: Path) -> None:
        """Go on from a checkpoint."""
        content = torch.load(path, weights_only=True)
        self.master.load_state_dict(content["master"])
        self.average.load_state_dict(content["average"])
        self.optimiser.load_state_dict(content["optimiser"])
        self.step, self.seconds = content["step"], content["seconds"]

    def warm_up(self, path: Path) -> None:
        """Begin anew from a checkpoint's average, or from weights that were shipped (safetensors)."""
        shipped = path.suffix == ".safetensors"
        weights = read_tensors(path) if shipped else torch.load(path, weights_only=True)["average"]
        for net in (self.master, self.average):
            fill(net, weights, path)

    def run(self) -> None:
        """Train until the plan's time is used up; saves now and then and at the end."""
        began, before = time.monotonic(), self.seconds
        saved, log = began, self.path.with_name(self.path.stem.replace("checkpoint", "log") + ".jsonl")
        while self.seconds < self.config.minutes * 60:
            loss, parts = self.update()
            now = time.monotonic()
            self.seconds = before + now - began
            if self.config.workers > 1 and self.step % self.config.meet_every == 0:
                self.peers.meet(list(self.master.parameters()), self.step)
            if self.step % 20 == 0:
                record = {"step": self.step, "minutes": round(self.seconds / 60, 3), "loss": loss, **parts}
                with log.open("a") as file:
                    file.write(json.dumps(record) + "\n")
            if now - saved > self.config.save_minutes * 60:
                self.save()
                saved = now
        self.save()

    def rate(self) -> float:
        """Learning rate: linear warm-up, flat, then a half cosine to 2 % at the end of the time."""
        c, done = self.config, self.seconds / (self.config.minutes * 60)
        fall = max(0.0, (done - c.decay_from) / (1 - c.decay_from))
        cosine = 0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * min(1.0, fall)))
        return c.rate * min(1.0, (self.step + 1) / c.warmup) * cosine

    def update(self) -> tuple[float, dict[str, float]]:
        """One step of the optimiser. Returns the loss and its parts."""
        began = time.monotonic()
        loss, parts = self.loss()
        loss.backward()  # type: ignore[no-untyped-call]
        masters, works = list(self.master.parameters()), list(self.work.parameters())
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
            torch._foreach_lerp_(list(self.average.parameters()), masters, 1 - decay)
        self.step += 1
        parts |= {"norm": float(norm), "rate": self.rate(), "seconds": time.monotonic() - began}
        return float(loss.detach()), {k: round(v, 6) for k, v in parts.items()}

    def loss(self) -> tuple[Tensor, dict[str, float]]:
        """Weighted squared error of the clean prediction over noisy rows."""
        c, fold, g = self.config, self.master.config.fold, self.generator
        pixels, actions, corner = self.material()
        backdrop = cut(self.master.backdrop.detach(), corner, 4 * fold, pixels)
        clean = fold_pixels(pixels, fold).unflatten(1, (c.chunks, 2))
        dropped = torch.rand(*actions.shape[:2], 1, generator=g) < c.dropout
        actions = actions.masked_fill(dropped, self.master.config.actions)
        past = clean
        rolling = self.seconds > c.rollout_from * c.minutes * 60 and torch.rand((), generator=g) < c.rollout_share
        if rolling:
            past = self.own(clean, actions, corner)
        guessed = torch.rand(len(clean), generator=g) < c.guess_share
        begun = torch.where(guessed[:, None, None, None, None, None], past, clean)  # what a sampler takes its noise off
        past = self.fade(past, backdrop)
        times = forcing.noisy_times(*clean.shape[:2], g)
        out = self.rows(past, begun, context_times(*clean.shape[:2], g), times, actions, corner)
        error = (unfold_pixels(out, fold) - pixels).square().mean(2, keepdim=True)
        whole = self.master.config.size // (4 * fold)
        weights = self.weights(pixels, unfold_pixels(past, fold).flatten(1, 2), backdrop)
        weights = weights * forcing.border_weights(corner, pixels.shape[-1] // (4 * fold), whole, 4 * fold)
        scale = (1 / ((1 - times) ** 2 + 0.15)).repeat_interleave(2, 1)[..., None, None, None]
        plain = error.detach().mean((2, 3, 4))
        start = plain[times.repeat_interleave(2, 1) == 0]
        parts = {"mse": float(plain.mean()), "start": float(start.mean()), "side": float(pixels.shape[-1])}
        return (error * weights * scale).mean() * 0.6, parts | {"rolling": float(rolling)}

    def weights(self, real: Tensor, seen: Tensor, backdrop: Tensor) -> Tensor:
        """How much each pixel (B, T, 1, P, P) of the real frames counts when ``seen`` was the context."""
        c = self.config
        moving = torch.maximum((real - backdrop).abs(), (seen - backdrop).abs()).amax(2, keepdim=True) > 0.15
        views = [to_bytes(frames) for frames in (real, seen)]
        player, fish = (torch.from_numpy(m)[:, :, None] for m in (player_mask(views[0]), fish_mask(views[0])))
        player |= torch.from_numpy(player_mask(views[1]))[:, :, None]
        return forcing.pixel_weights(moving.float(), player.float(), fish.float(), c.peak, c.player_peak, c.entry)

    def fade(self, past: Tensor, backdrop: Tensor) -> Tensor:
        """``past`` (folded chunks) with the sprites of a share of the sequences fading."""
        fold, g = self.master.config.fold, self.generator
        frames = unfold_pixels(past, fold).flatten(1, 2)
        pale = fold_pixels(forcing.faded(frames, backdrop, g), fold).view_as(past)
        chosen = torch.rand(len(past), generator=g) < self.config.fade_share
        return torch.where(chosen[:, None, None, None, None, None], pale, past)

    def material(self) -> tuple[Tensor, Tensor, Corner]:
        """Pixels (B, T, 3, P, P) in [-1, 1], actions (B, C, 2) and the place of the crop in tokens.

        Crops around the player show more of what is hard per second of computing than whole frames do.
        """
        c, unit = self.config, 4 * self.master.config.fold
        if torch.rand((), generator=self.generator) < c.crop_share:
            room = self.master.config.size // unit - c.crop + 1
            top, left = (int(i) for i in torch.randint(room, (2,), generator=self.generator))
            frames, actions = self.windows.around(c.crops, top * unit, left * unit, c.crop * unit)
        else:
            top = left = 0
            frames, actions = self.windows.batch(c.sequences)
        pixels = frames.permute(0, 1, 4, 2, 3).float() / 127.5 - 1.0
        return pixels, actions.unflatten(1, (c.chunks, 2)), (top, left)

    @torch.no_grad()
    def own(self, clean: Tensor, actions: Tensor, corner: Corner) -> Tensor:
        """The chunks as the network itself predicts them, one or two generations deep; the first stays real."""
        past, (batch, chunks) = clean, clean.shape[:2]
        for _ in range(1 + int(torch.randint(2, (), generator=self.generator))):
            times = torch.zeros(batch, chunks)
            times += torch.tensor([0.0, 0.15, 0.4])[torch.randint(3, (batch, 1), generator=self.generator)]
            predicted = self.rows(past, clean, torch.ones(batch, chunks), times, actions, corner)
            predicted = predicted.unflatten(1, (chunks, 2))
            past = torch.cat((clean[:, :1], predicted[:, 1:]), 1)
        return past

    def rows(
        self, past: Tensor, begun: Tensor, past_times: Tensor, times: Tensor, actions: Tensor, corner: Corner
    ) -> Tensor:
        """Clean predictions (B, 2*C, channels, H, W) of ``begun`` at ``times`` under the context ``past``."""
        net, g = self.work, self.generator
        before = mix(past, torch.randn(past.shape, generator=g), past_times)
        now = mix(begun, torch.randn(begun.shape, generator=g), times)
        previous = torch.cat((torch.zeros_like(before[:, :1]), before[:, :-1]), 1)
        previous_time = torch.cat((torch.zeros_like(past_times[:, :1]), past_times[:, :-1]), 1)

        def stacked(context: Tensor, noisy: Tensor) -> Tensor:
            return torch.cat((context[:, :-1].flatten(0, 1), noisy.flatten(0, 1)))

        view = TwinView(*begun.shape[:2], net.coords(begun.shape[2:]), net.rope, begun.shape[2])
        states, row_times = stacked(before, now), stacked(past_times, times)
        condition = {
            "action": stacked(actions, actions),
            "previous": stacked(previous, previous),
            "previous_time": stacked(previous_time, previous_time),
        }
        encoded = net.encode(states, row_times, condition, corner)
        tokens = net.trunk(encoded.tokens_RLD, encoded.cond_RD, view)
        n = view.context_rows
        sizes = (n, len(states) - n)
        noisy = Encoded(*(part.split(sizes)[1] for part in encoded))
        out = net.decode(tokens.split(sizes)[1], noisy, states[n:], row_times[n:], condition["previous"][n:], corner)
        return out.unflatten(0, begun.shape[:2]).flatten(1, 2)
