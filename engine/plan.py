"""Plans: the order of chunks and what each may see. Lazy, so that a stream can be endless."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, TypeGuard

from unreel.engine.interfaces import Memory, SteeredPlan
from unreel.engine.types import Chunk


@dataclass(frozen=True)
class TimePlan:
    """Whole frames in time order, ``frames`` latent frames a chunk; ``length`` chunks, or endless."""

    frames: int
    frame_shape: tuple[int, ...]  # one latent frame: (C, H, W)
    length: int | None = None

    choosy: ClassVar[bool] = False

    def chunk(self, index: int, route: Memory | None = None) -> Chunk | None:
        if self.length is not None and index >= self.length:
            return None
        return Chunk(index, index * self.frames, self.frames, (self.frames, *self.frame_shape))

    def sees(self, chunk: Chunk, earlier: Chunk, clean: bool, route: Memory | None = None) -> bool:
        return True


def choosy(plan: object) -> bool:
    """Whether a plan hides some earlier chunks from later ones; one that never does says ``choosy = False``."""
    return bool(getattr(plan, "choosy", True))


def steered(plan: object) -> TypeGuard[SteeredPlan]:
    """Whether a plan decides its order while it runs (``SteeredPlan``)."""
    return hasattr(plan, "decide")
