"""How much attention itself changes when a context forgets: the same queries, keys and values through every policy.

Quality of the film tells what a policy costs a model; this tells what it costs attention, also where a model hardly
uses what it remembers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from unreel.engine.context.store import Context, query_stride
from unreel.engine.context.view import RowsView, Track
from unreel.engine.interfaces import View
from unreel.engine.model import Model
from unreel.engine.types import Chunk

Layers = list[tuple[Tensor, Tensor, Tensor]]  # per layer: q, k, v of one row (L, H, D), unrotated


@dataclass
class Tap:
    """Stands in for a view and remembers what passes through it."""

    view: View
    layers: Layers = field(default_factory=list)

    def attend(self, layer: int, q_RLHD: Tensor, k_RLHD: Tensor, v_RLHD: Tensor) -> Tensor:
        self.layers.append((q_RLHD[-1].clone(), k_RLHD[-1].clone(), v_RLHD[-1].clone()))
        return self.view.attend(layer, q_RLHD, k_RLHD, v_RLHD)


class Tapped:
    """Stands in for a backbone; ``commits`` of finished chunks, and the ``last`` call of a chunk in work."""

    def __init__(self, backbone: Any) -> None:
        self.backbone, self.rope = backbone, backbone.rope
        self.commits: list[Layers] = []
        self.last: Layers = []

    def __call__(self, states: Tensor, times_R: Tensor, view: View, condition: Any) -> Tensor:
        tap = Tap(view)
        out: Tensor = self.backbone(states, times_R, tap, condition)
        if float(times_R[-1]) == 1.0:
            self.commits.append(tap.layers)
        else:
            self.last = tap.layers
        return out

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backbone, name)


def record(model: Model, seed: int, chunks: int) -> Tapped:
    """The queries, keys and values of a stream, block by block in the model's own context."""
    tapped, backbone = Tapped(model.backbone), model.backbone
    model.backbone = tapped  # type: ignore[assignment]
    try:
        for _ in model.session(seed=seed, start="nothing", reuse="none", rewind=0).stream(chunks=chunks + 1):
            pass
    finally:
        model.backbone = backbone
    return tapped


def attention_errors(model: Model, settings: Mapping[str, Any], seeds: int = 3, chunks: int = 20) -> dict[str, float]:
    """Relative L2 error of what attention returns under each context, against ``full``; mean over layers and seeds."""
    errors: dict[str, list[float]] = {name: [] for name in settings}
    for seed in range(seeds):
        tapped = record(model, seed, chunks)
        truth = _through(model, {"class": "full"}, tapped, chunks)
        for name, spec in settings.items():
            found = _through(model, spec, tapped, chunks)
            errors[name] += [float((a - b).norm() / b.norm()) for a, b in zip(found, truth, strict=True)]
    return {name: sum(found) / len(found) for name, found in errors.items()}


def _through(model: Model, spec: Any, tapped: Tapped, chunks: int) -> list[Tensor]:
    """What attention returns to the chunk in work, per layer, after the stream went into a context of ``spec``."""
    settings = model.settings({"context": spec}, None)
    backbone = model.backbone
    context = Context.empty(settings.context, backbone.rope, backbone.layers, backbone.heads, *settings.keeping)
    plan = settings.plan
    coords = model.coords(plan.chunk(0).shape)  # type: ignore[union-attr]
    for index, layers in enumerate(tapped.commits[:chunks]):
        stride = query_stride(coords.shape[0], settings.context.queries or 1)
        queries = [q[::stride] for q, _, _ in layers]
        context.commit(_chunk(plan, index), tuple((k, v) for _, k, v in layers), coords, queries)
    track = Track(context, [(0, _chunk(plan, chunks))])
    view = RowsView([track], backbone.rope, model.coords_of, model.attention)
    with torch.inference_mode():
        rows = [(q[None], k[None], v[None]) for q, k, v in tapped.last]
        return [view.attend(layer, *row).float() for layer, row in enumerate(rows)]


def _chunk(plan: Any, index: int) -> Chunk:
    chunk: Chunk = plan.chunk(index)
    return chunk
