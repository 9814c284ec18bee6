"""Reuse decided by the schedule alone: which levels are computed is known before a stream begins.

The SkyReels-V2 port of FlowCache compares timestep modulations, so its skips do not depend on content either; here
that is said openly and the table is made once per schedule.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import hypot

from unreel.engine.errors import UserError
from unreel.engine.reuse.base import Item
from unreel.engine.reuse.replay import Replays, check_replay


@dataclass(frozen=True)
class Timestep(Replays):
    """Compute ``levels`` (the first and the last always), or those that ``threshold`` picks where none are given.

    With a threshold, a level is computed when the relative change that a state is expected to have made since the last
    computed level, ``spread`` being the standard deviation of clean states, has reached it.
    """

    threshold: float = 0.1
    warmup: int = 2
    levels: tuple[int, ...] = ()
    spread: float = 0.5
    replay_as: str = "linear"
    reach: float = 1.0

    def __post_init__(self) -> None:
        check_replay(self.replay_as, self.reach)
        object.__setattr__(self, "levels", tuple(self.levels))  # YAML and snapshots give lists
        if self.threshold < 0 or self.warmup < 1 or self.spread <= 0:
            raise UserError(
                "timestep needs threshold >= 0, warmup >= 1 and spread > 0, "
                f"got {self.threshold}, {self.warmup} and {self.spread}"
            )
        if any(not isinstance(level, int) or level < 0 for level in self.levels):
            raise UserError(f"levels are whole numbers from 0, got {list(self.levels)}")

    def table(self, grid: tuple[float, ...]) -> tuple[bool, ...]:
        """For each step, whether it is computed."""
        return _given(self.levels, grid) if self.levels else _expected(grid, self.threshold, self.warmup, self.spread)

    def split(self, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        run: list[Item] = []
        skip: list[Item] = []
        for item in items:
            (run if self.table(item.grid)[item.level] or "points" not in item.memory else skip).append(item)
        return run, skip


@lru_cache(maxsize=64)
def _given(levels: tuple[int, ...], grid: tuple[float, ...]) -> tuple[bool, ...]:
    steps = len(grid) - 1
    if levels and max(levels) >= steps:
        raise UserError(f"levels to compute lie in 0..{steps - 1} with {steps} steps, got {max(levels)}")
    return tuple(k in levels or k in (0, steps - 1) for k in range(steps))


@lru_cache(maxsize=64)
def _expected(grid: tuple[float, ...], threshold: float, warmup: int, spread: float) -> tuple[bool, ...]:
    steps, table, moved = len(grid) - 1, [], 0.0
    for k in range(steps):
        if k:
            size = hypot(grid[k - 1] * spread, 1 - grid[k - 1])
            moved += (grid[k] - grid[k - 1]) * hypot(spread, 1.0) / size
        compute = k < warmup or k == steps - 1 or moved >= threshold
        table.append(compute)
        moved = 0.0 if compute else moved
    return tuple(table)
