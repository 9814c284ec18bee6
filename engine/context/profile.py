"""Head profiles: which attention heads of a model only look at the newest frames.

A head's score is the share of its attention (queries of the chunk in work, over keys after the sink) that falls on
the chunk itself and the ``recent`` frames before it; 0.8 or more is static (Forcing-KV's rule, with the sink and the
ring that the policies really keep instead of fixed key frames). The profile lies beside the model as NAME.heads.json.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import mean
from typing import Any

import torch
from torch import Tensor

from unreel.engine.errors import UserError

STATIC = 0.8  # Forcing-KV's border


@dataclass
class Tally:
    """Collects one score per (layer, head, sample, level)."""

    scores: dict[tuple[int, int], list[tuple[int, int, float]]] = field(default_factory=dict)

    def add(self, layer: int, sample: int, level: int, scores: Sequence[float]) -> None:
        for head, score in enumerate(scores):
            self.scores.setdefault((layer, head), []).append((sample, level, score))


def head_scores(q_LHD: Tensor, k_NHD: Tensor, near_N: Tensor, counted_N: Tensor) -> Tensor:
    """Attention mass on the keys ``near`` as a share of that on all ``counted`` keys (masks): (H,). Rotated inputs."""
    logits = torch.einsum("lhd,nhd->hln", q_LHD.float(), k_NHD.float()) * q_LHD.shape[-1] ** -0.5
    mass: Tensor = logits.softmax(-1).mean(1)
    return mass[:, near_N].sum(-1) / mass[:, counted_N].sum(-1).clamp_min(1e-12)


def classify(tally: Tally, border: float = STATIC) -> dict[str, Any]:
    """The profile: static heads per layer, every head's score, and how steady the classes are.

    ``stability`` is the share of heads whose class in one sample (or at one level) alone is their class overall: the
    mean over samples (levels) and the worst of them.
    """
    layers = 1 + max(layer for layer, _ in tally.scores)
    overall = {key: mean(s for _, _, s in found) for key, found in tally.scores.items()}
    static = [[h for (n, h), s in sorted(overall.items()) if n == layer and s >= border] for layer in range(layers)]
    scores = [[round(s, 4) for (n, _), s in sorted(overall.items()) if n == layer] for layer in range(layers)]
    return {
        "border": border,
        "static": static,
        "static_share": sum(map(len, static)) / len(overall),
        "scores": scores,
        "stability": {
            "samples": _agreement(tally, overall, border, 0),
            "levels": _agreement(tally, overall, border, 1),
        },
    }


def _agreement(tally: Tally, overall: Mapping[tuple[int, int], float], border: float, axis: int) -> dict[str, float]:
    shares = []
    for value in sorted({entry[axis] for found in tally.scores.values() for entry in found}):
        same = [
            (mean(e[2] for e in found if e[axis] == value) >= border) == (overall[key] >= border)
            for key, found in tally.scores.items()
        ]
        shares.append(sum(same) / len(same))
    return {"mean": mean(shares), "worst": min(shares)}


def profile_path(name: str, weights: Path) -> Path:
    """Where the profile of a model lies."""
    return weights / f"{name}.heads.json"


def read_profile(path: Path) -> tuple[tuple[int, ...], ...]:
    """Static heads per layer; empty where the model has no profile.

    Raises:
        UserError: the file is not a profile.
    """
    if not path.is_file():
        return ()
    try:
        static = json.loads(path.read_text(encoding="utf-8"))["static"]
        return tuple(tuple(int(head) for head in layer) for layer in static)
    except (OSError, ValueError, KeyError, TypeError):
        raise UserError(f"{path} is not a head profile: make it again with `unreel profile MODEL`") from None
