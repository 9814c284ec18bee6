"""What a reuse policy decides about, and the policy that never reuses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from torch import Tensor

from unreel.engine.interfaces import Memory
from unreel.engine.types import Chunk


@dataclass(frozen=True, slots=True)
class Item:
    """One chunk's step in one guidance branch: from ``level`` to ``level + 1`` of ``steps``.

    ``memory`` belongs to this (session, chunk, branch) and lives as long as the chunk is in flight;
    ``signal()`` is the chunk's patch-embedded input, computed when asked for; ``state`` the chunk as it is.
    """

    chunk: Chunk
    branch: str
    level: int
    steps: int
    times: tuple[float, float]
    state: Tensor
    memory: Memory
    signal: Callable[[], Tensor]

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
