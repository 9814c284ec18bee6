"""What a reuse policy decides about, and the policy that never reuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from unreel.engine.interfaces import Memory
from unreel.engine.types import Chunk


@dataclass(frozen=True, slots=True)
class Item:
    """One chunk's step in one guidance branch: from ``level`` to ``level + 1``; ``grid`` holds the times of all levels.

    ``memory`` belongs to this (session, chunk, branch) and lives as long as the chunk is in flight: policies replace
    what is in it and never write into it, because forks share it. ``signal()`` is the chunk's patch-embedded input,
    computed when asked for; ``state`` the chunk as it is.
    """

    chunk: Chunk
    branch: str
    level: int
    grid: tuple[float, ...]
    state: Tensor
    memory: Memory
    signal: Callable[[], Tensor]

    @property
    def steps(self) -> int:
        return len(self.grid) - 1

    @property
    def times(self) -> tuple[float, float]:
        """The time this step leaves and the one it reaches."""
        return self.grid[self.level], self.grid[self.level + 1]

    @property
    def last(self) -> bool:
        return self.level == self.steps - 1


class Never:
    """Compute every step."""

    def split(self, items: Sequence[Item]) -> tuple[list[Item], list[Item]]:
        return list(items), []

    def record(self, item: Item, clean: Tensor) -> None:
        return None

    def replay(self, item: Item) -> Tensor:
        raise AssertionError("a policy that never skips was asked to replay")
