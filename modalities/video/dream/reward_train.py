"""`unreel train dream --reward`: play the real game, dream of it, learn to judge both, measure on held-out levels."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.model import Model
from unreel.engine.shipping import write_weights
from unreel.modalities.video.dream.collect import TEST_LEVELS
from unreel.modalities.video.dream.game import Game
from unreel.modalities.video.dream.reward import RewardHead
from unreel.modalities.video.dream.reward_play import PlayConfig, Samples, dreamt, record

WEIGHTS = (4.0, 2.0, 1.0)  # of the losses of reward, end and value: how a fish is eaten is the hardest to see


@dataclass(frozen=True)
class RewardConfig:
    """``chunks`` of real play and ``windows`` of dreams to learn from, a sixth of that to measure with; ``updates``
    with ``batch`` samples of each."""

    chunks: int = 32_000
    windows: int = 600
    updates: int = 1600
    batch: int = 48
    rate: float = 2e-3
    seed: int = 0
    play: PlayConfig = field(default_factory=PlayConfig)


class Drawn:
    """Batches of samples, half of them rare; weights make up for that, so that the rare count as a ``share`` of all.

    Whole batches are mirrored at random, sideways and upside down: the game is the same either way.
    """

    def __init__(self, samples: Samples, share: float, rng: np.random.Generator) -> None:
        self.samples, self.rng, self.share = samples, rng, share
        self.kinds = [np.flatnonzero(samples.rare), np.flatnonzero(~samples.rare)]

    def batch(self, size: int) -> tuple[Tensor, Tensor, Tensor]:
        """What the head sees (B, C, S, S), labels (B, 3), weights (B,) of mean 1."""
        pick = np.concatenate([self.rng.choice(kind, size // 2) for kind in self.kinds])
        weight = torch.tensor([self.share, 1 - self.share]).repeat_interleave(size // 2) * 2
        mirrored = [axis for axis in (2, 3) if self.rng.random() < 0.5]
        return self.samples.seen[pick].flip(mirrored), torch.from_numpy(self.samples.labels[pick]), weight


def losses(answers_B3: Tensor, labels_B3: Tensor) -> Tensor:
    """(B, 3): Poisson loss of the fish eaten, cross-entropy of the end, squared error of the value where known."""
    reward, ended, value = labels_B3.unbind(1)
    eaten = F.poisson_nll_loss(answers_B3[:, 0].clamp(max=1.0), reward.clamp(max=2.0), reduction="none")
    end = F.binary_cross_entropy_with_logits(answers_B3[:, 1], ended, reduction="none")
    known = ~value.isnan() & (ended == 0)
    return torch.stack([eaten, end, (answers_B3[:, 2] - value.nan_to_num()) ** 2 * known], dim=1)


def fit(kinds: Sequence[Samples], config: RewardConfig, note: Callable[[str], None] = print) -> RewardHead:
    """Train a head on several kinds of samples in equal parts; the first kind says how rare the rare is."""
    rng = np.random.default_rng(config.seed)
    with torch.random.fork_rng():
        torch.manual_seed(config.seed)
        head = RewardHead()
    average = copy.deepcopy(head)
    optimiser = torch.optim.AdamW(head.parameters(), lr=config.rate, weight_decay=0.02)
    drawn = [Drawn(samples, float(kinds[0].rare.mean()), rng) for samples in kinds]
    for update in range(config.updates):
        for group in optimiser.param_groups:
            group["lr"] = config.rate * min(1.0, (update + 1) / 50, 2 * (config.updates - update) / config.updates)
        seen, labels, weight = map(torch.cat, zip(*(one.batch(config.batch) for one in drawn), strict=True))
        parts = (losses(head(seen), labels) * weight[:, None]).mean(0) * torch.tensor(WEIGHTS)
        optimiser.zero_grad()
        parts.sum().backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        with torch.no_grad():
            for kept, fresh in zip(average.parameters(), head.parameters(), strict=True):
                kept.lerp_(fresh, 1 - min(0.995, (1 + update) / (10 + update)))
        if update % 100 == 0:
            note(f"update {update}: " + ", ".join(f"{part:.4f}" for part in parts.tolist()))
    return average.eval()


def area(score: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """Area under the ROC curve by ranks, ties shared (Mann and Whitney 1947); NaN when one class is missing."""
    _, place, counts = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[place]
    yes = int(truth.sum())
    no = len(truth) - yes
    return float((rank[truth].sum() - yes * (yes + 1) / 2) / (yes * no)) if yes and no else float("nan")


def correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Pearson's; NaN when one of them does not vary."""
    return float(np.corrcoef(a, b)[0, 1]) if len(a) > 1 and a.std() > 0 and b.std() > 0 else float("nan")


def measure(head: RewardHead, samples: Samples) -> dict[str, float]:
    """How well the head judges: areas under ROC curves, and the correlation of value with what followed."""
    (reward, ended, value), labels = (part.numpy() for part in head.judge(samples.seen)), samples.labels
    known = ~np.isnan(labels[:, 2]) & (labels[:, 1] == 0)
    figures = {
        "chunks": len(labels),
        "fish": int((labels[:, 0] > 0).sum()),
        "ends": int(labels[:, 1].sum()),
        "reward_auc": area(reward, labels[:, 0] > 0),
        "ended_auc": area(ended, labels[:, 1] > 0),
        "value_correlation": correlation(value[known], labels[known, 2]),
    }
    return {name: round(figure, 4) for name, figure in figures.items()}


def train_reward(model: Model, out: Path, venv: Path, config: RewardConfig | None = None) -> dict[str, Any]:
    """Play, dream, fit, measure on held-out levels; writes ``out/dream_reward.safetensors`` and its record as JSON."""
    config = config or RewardConfig()
    began = time.monotonic()
    game = Game(venv)
    try:
        learned, windows = record(game, config.play, config.chunks, 0)
        held_out, kept = record(game, config.play, config.chunks // 6, TEST_LEVELS)
    finally:
        game.close()
    order = np.random.default_rng(config.seed).permutation(len(windows))[: config.windows]
    dreams = dreamt(model, [windows[i] for i in order], config.play)
    head = fit([learned, dreams], config)
    write_weights(out / "dream_reward.safetensors", head.state_dict())
    found = {
        "real": measure(head, held_out),
        "dreamt": measure(head, dreamt(model, kept[: config.windows // 6], config.play)),
    }
    record_ = {**asdict(config), "held_out": found, "minutes": round((time.monotonic() - began) / 60, 1)}
    (out / "dream_reward.json").write_text(json.dumps(record_, indent=1) + "\n", encoding="utf-8")
    return record_
