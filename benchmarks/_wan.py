"""The attention and context of Wan 2.1 1.3B at its published geometry, with random weights: time and bytes, no picture.

The real backbone and the real session run; only the codec is a stand-in that passes latents on.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from unreel.benchmarks import _clock
from unreel.benchmarks._films import peak_bytes, reset_peak
from unreel.engine import registry
from unreel.engine.card import Card
from unreel.engine.finish import remember
from unreel.engine.model import Model, build
from unreel.engine.session import Session
from unreel.engine.state import Past
from unreel.engine.types import Chunk


@dataclass(frozen=True)
class Geometry:
    """``depth`` of the 30 layers; every layer costs the same. ``history`` frames are there before the first chunk."""

    name: str
    height: int
    width: int
    depth: int
    steps: int
    commit: str
    history: int = 18

    @property
    def tokens_per_frame(self) -> int:
        return self.height // 16 * (self.width // 16)


P480 = Geometry("480p", 480, 832, depth=1, steps=4, commit="extra")
P1080 = Geometry("1080p", 1088, 1920, depth=1, steps=1, commit="inline")
SMALL = Geometry("240p", 240, 416, depth=1, steps=2, commit="extra")


class Latents:
    """A codec that decodes nothing."""

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        return frames, 16, height // 8, width // 8

    def encode(self, media: Tensor) -> Tensor:
        return media

    def new_state(self) -> dict[str, Tensor]:
        return {}

    def decode(self, latents: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return latents, state


class Prompt:
    """512 random text features, always the same tensor."""

    def __init__(self, width: int) -> None:
        self.features = torch.randn(512, width)

    def check(self, value: Any) -> Any:
        return value

    def encode(self, value: Any, chunk: Chunk, since: int) -> Tensor:
        return self.features

    def null(self, chunk: Chunk) -> Tensor:
        return self.features


def model(geometry: Geometry) -> Model:
    """Random weights in bfloat16."""
    registry.register("codec", "bench-latents", Latents)
    registry.register("condition", "bench-prompt", Prompt)
    card = Card(
        name=f"wan-{geometry.name}",
        modality="video",
        licence="none: random weights",
        architecture={"class": "wan", "depth": geometry.depth, "text_width": 64},
        codec={"class": "bench-latents"},
        media={"fps": 16, "height": geometry.height, "width": geometry.width},  # type: ignore[arg-type]
        plan={"class": "time", "frames": 3},
        schedule={"steps": geometry.steps, "commit": geometry.commit},  # type: ignore[arg-type]
        sampler={"class": "renoise", "shift": 5.0},
        context={"class": "full"},
        conditions={"prompt": {"class": "bench-prompt", "width": 64}},
    )
    return build(card, Path(), None, "cpu", "bfloat16", seed=1)


def session(loaded: Model, geometry: Geometry, context: dict[str, Any]) -> Session:
    """A session in the middle of a stream: its context holds what the policy keeps of a long random history."""
    made = loaded.session(seed=1, start="nothing", context=context, rewind=0)
    policy = made.settings.context
    chunks = geometry.history // 3
    for index in range(chunks + 1):
        chunk = made.plan.chunk(index)
        assert chunk is not None, "an endless plan"
        tokens = loaded.coords(chunk.shape).shape[0]
        if index == chunks:
            _pend(made, chunk)
            break
        generator = torch.Generator().manual_seed(index)
        shape = (geometry.depth, tokens, loaded.backbone.heads, loaded.backbone.head_dim)
        k, v = (torch.randn(shape, generator=generator, dtype=torch.bfloat16) for _ in range(2))
        kv = tuple((k[n].clone(), v[n].clone()) for n in range(geometry.depth))
        stride = max(1, tokens // policy.queries) if policy.queries else 1
        queries = [x[::stride].clone() for x, _ in kv] if policy.queries else None
        made.state.contexts["main"].commit(chunk, kv, loaded.coords(chunk.shape), queries)
        made.state.next = index + 1
    return made


def _pend(made: Session, chunk: Chunk) -> None:
    """With a commit pass, the chunk before is waiting for it, as in any stream that goes on."""
    if made.schedule.commit.value != "extra":
        return
    told = {name: condition.null(chunk) for name, condition in made.conditions.items()}
    remember(made, Past(chunk, torch.randn(chunk.shape), told))
    made.state.next = chunk.index + 1


def next_chunk(made: Session) -> dict[str, float]:
    """Make one chunk: commit pass of the chunk before, all steps, compaction."""
    reset_peak()
    with _clock.measuring():
        began = time.perf_counter()
        next(iter(made.stream(chunks=1)))
        seconds = time.perf_counter() - began
    return {"seconds": seconds, "context_bytes": made.context_bytes, "process_bytes": peak_bytes()}
