"""Running a model to see which of its attention heads only look at the newest frames (``context/profile.py``)."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from unreel.engine.context.profile import STATIC, Tally, classify, head_scores
from unreel.engine.errors import UserError
from unreel.engine.generate import compute, conclude, schedule

if TYPE_CHECKING:
    from unreel.engine.model import Model

QUERIES = 128  # rows of the attention matrix that are looked at


def profile_heads(
    model: Model, samples: int = 6, chunks: int = 6, recent: int | None = None, border: float = STATIC
) -> dict[str, Any]:
    """The head profile of a model, block by block in its own context, over ``samples`` seeds and all levels.

    ``recent`` is how many latent frames before the chunk in work count as near; by default one chunk. Each sample is
    looked at for ``chunks`` chunks, after as many again to fill the context.

    Raises:
        UserError: counts below 1, or a model whose context never holds more than what is near.
    """
    if samples < 1 or chunks < 1 or (recent is not None and recent < 0) or not 0 < border <= 1:
        raise UserError("a profile needs samples >= 1, chunks >= 1, recent >= 0 and a border in 0..1")
    tally, near = Tally(), 0
    for sample in range(samples):
        session = model.session(seed=sample, reuse="none", rewind=0, restart=False)
        chunk = session.plan.chunk(0, {})
        assert chunk is not None, "a plan has a first chunk"
        tokens = model.coords_of(chunk).shape[0]
        near = tokens + round((chunk.frames if recent is None else recent) * tokens / chunk.frames)
        sink = int(model.card.context.get("sink", 0)) * tokens
        while session.stats.chunks < 2 * chunks:
            work = schedule(session)
            level = session.state.flights[0].level if work.moving else None
            seen = level is not None and session.stats.chunks >= chunks
            compute(model, [work], _watcher(tally, sample, level, sink, near) if seen and level is not None else None)
            conclude(work)
    if not tally.scores:
        raise UserError(
            f"the context of {model.name} holds no more than the {near} nearest tokens: nothing to tell apart"
        )
    recipe = {"samples": samples, "chunks": chunks, "near_tokens": near, "model": model.name}
    return {**classify(tally, border), "recipe": recipe}


def _watcher(tally: Tally, sample: int, level: int, sink: int, near: int) -> Any:
    def watch(layer: int, heads: Sequence[int], q_LHD: Tensor, k_NHD: Tensor) -> None:
        count = k_NHD.shape[0]
        if count <= sink + near:
            return
        place = torch.arange(count, device=k_NHD.device)
        stride = max(1, q_LHD.shape[0] // QUERIES)
        scores = head_scores(q_LHD[::stride], k_NHD, place >= count - near, place >= sink)
        tally.add(layer, sample, level, scores.tolist())

    return watch


def write_profile(path: Path, profile: dict[str, Any]) -> None:
    """Write a profile in one step: the file is whole or as it was."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(profile, indent=1) + "\n", encoding="utf-8")
    os.replace(part, path)
