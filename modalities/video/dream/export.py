"""From a checkpoint to what is shipped: weights (float16), seed clips and the model card."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from unreel.engine.shipping import write_card, write_weights
from unreel.modalities.video.dream.collect import KEYS
from unreel.modalities.video.dream.data import Shard, unbroken
from unreel.modalities.video.dream.measure import player_mask

FPS = 15.0
RECORDED = (
    "rate", "ema", "rollout_from", "rollout_share", "guess_share", "fade_share", "dropout",
    "peak", "player_peak", "entry",
)  # fmt: skip


def export(checkpoint: Path, folder: Path, card_path: Path | None = None) -> None:
    """Write the averaged weights of ``checkpoint`` as ``folder/dream.safetensors``, and the model card.

    The card goes to ``card_path`` (default ``folder/model.yaml``); one that is there already keeps all but
    what the checkpoint decides: architecture, codec, media and the training record.
    """
    content = torch.load(checkpoint, weights_only=True)
    write_weights(folder / "dream.safetensors", content["average"])
    decided = ("architecture", "codec", "media", "training")
    write_card(card_path or folder / "model.yaml", card(content), decided)


def card(content: Mapping[str, Any]) -> dict[str, Any]:
    """The model card of a checkpoint."""
    net, run = content["net"], content["config"]
    return {
        "name": "dream",
        "modality": "video",
        "description": "A reef with a small green fish to steer and pink ones to avoid, dreamt from Procgen bigfish.",
        "licence": "Apache-2.0",
        "architecture": {"class": "dream", **net},
        "codec": {"class": "fold", "fold": net["fold"]},
        "media": {"fps": FPS, "height": net["size"], "width": net["size"]},
        "plan": {"class": "time", "frames": net["frames"]},
        "schedule": {"steps": 4, "commit": "extra"},
        "sampler": {
            "class": "euler",
            "shift": {4: 9.0, 8: 15.0, 16: 30.0, 32: 62.0},  # the last step begins at a time of 0.25 to 0.33
            "noise_scale": {4: 1.0, 8: 0.9},  # makes up for the weight of fish at the edge
        },
        "context": {"class": "window", "sink": 0, "recent": run["chunks"] - 1},
        "conditions": {"action": {"keys": list(KEYS)}},
        "ending": {"class": "player", "lost": 4, "doubled": 6},
        "weights": "dream.safetensors",
        "seeds": "dream_seeds.safetensors",
        "reward": "dream_reward.safetensors",
        "training": _record(content),
    }


def _record(content: Mapping[str, Any]) -> dict[str, Any]:
    run = content["config"]
    return {
        "data": "Procgen bigfish (procgen-mirror 0.10.7), easy, one backdrop, level seeds 0-9999, filmed by collect.py",
        "data_licence": "MIT (game); art CC0 (fish: Kenney) and CC-BY 3.0 (backdrop, see docs/dream.md)",
        "steps": content["step"],
        "minutes": round(content["seconds"] / 60, 1),
        "chunks_per_step": run["sequences"] * run["chunks"],
        "loss": "squared error of the clean prediction, weighted by time, near moving things and the player",
        "seed": run["seed"],
        "command": "unreel train dream",
        **{k: run[k] for k in RECORDED},
    }


def export_seeds(shard: Shard, path: Path, clips: int = 16, length: int = 12) -> None:
    """Write short clips of held-out levels, the player well visible in all, to start dreams from."""
    frames, actions, used = [], [], set()
    for stream, start in unbroken(shard, length, gap=40):
        clip = shard.frames[stream, start : start + length]
        middle = player_mask(clip)[-1].sum()
        if stream in used or middle < 12 or shard.level[stream, start] < 10_000:
            continue
        used.add(stream)
        frames.append(torch.from_numpy(np.array(clip)))
        actions.append(torch.from_numpy(shard.action[stream, start : start + length].astype(np.int64)))
        if len(frames) == clips:
            break
    save_file({"frames": torch.stack(frames), "actions": torch.stack(actions)}, path)
    path.chmod(0o644)
