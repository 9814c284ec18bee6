"""Items as the loop makes them, without a loop."""

from __future__ import annotations

import torch
from torch import Tensor

from unreel.engine.interfaces import Memory, ReusePolicy
from unreel.engine.reuse.base import Item
from unreel.engine.sampler.times import Grid
from unreel.engine.types import Chunk


def item(memory: Memory, level: int, steps: int = 8, chunk: int = 0, signal: float = 1.0) -> Item:
    state = torch.full((3,), float(level))
    place = Chunk(chunk, chunk, 1, (3,))
    return Item(place, "main", level, Grid().times(steps), state, memory, lambda: torch.full((3,), signal))


def levels_computed(policy: ReusePolicy, clean: list[Tensor], signals: list[float] | None = None) -> list[int]:
    """The levels that a lone chunk computes when its prediction at every level is ``clean``."""
    memory: Memory = {}
    steps, done = len(clean), []
    for level in range(steps):
        here = item(memory, level, steps, signal=1.0 if signals is None else signals[level])
        run, skip = policy.split([here])
        assert len(run) + len(skip) == 1
        if run:
            done.append(level)
            policy.record(here, clean[level])
        else:
            assert policy.replay(here).shape == clean[level].shape
    return done
