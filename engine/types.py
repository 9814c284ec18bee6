"""The nouns of the engine: chunk, move, control, event. Plain data, no behaviour.

Axis letters used in names all over the engine:
    R rows of one backbone call   T latent frames   C channels   H, W height and width
    L tokens of one chunk         N tokens kept     H heads (in q, k, v)   D width of a head   A position axes
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Chunk:
    """The unit generated, committed, cached and emitted together.

    ``index`` counts chunks of the plan from 0; ``start`` and ``frames`` place it on the time axis in
    latent frames (two faces of one window share a ``start``); ``region`` names what else tells it apart
    (a cube face, a joint, a scale), empty for a whole frame; ``shape`` is its state's shape. A ``given`` chunk is
    not generated: it enters the past clean, for others to look at.
    """

    index: int
    start: int
    frames: int
    shape: tuple[int, ...]
    region: str = ""
    given: bool = False


class CommitMode(Enum):
    """When a clean chunk's keys and values enter the context."""

    EXTRA_PASS = "extra"  # a backbone call of its own (Self-Forcing)
    WITH_NEXT = "with-next"  # in the call of the next chunk's first step (ACDiT)
    INLINE = "inline"  # those of the last denoising step (token models)
    NEVER = "never"  # nothing is cached: clean chunks are computed again with every step (SkyReels-V2)


@dataclass(frozen=True, slots=True)
class Control:
    """Something a user sends while a session runs. ``id`` comes back in the event it first shaped."""

    kind: str
    value: Any = None
    id: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """What a session emits: chunk ``chunk`` at ``level``; ``final`` when it will not change again.

    ``payload`` is what the codec decoded (video: uint8 frames (T, H, W, 3)); ``applied`` are the controls
    that this chunk is the first to obey; ``replaces`` is the ``seq`` of an event that this one supersedes.
    ``timing`` holds seconds: ``model``, ``decode`` and ``total`` since the previous event.
    """

    seq: int
    chunk: Chunk
    level: int
    final: bool
    payload: Any
    applied: tuple[Control, ...] = ()
    replaces: int | None = None
    timing: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Emission:
    """What a codec has to show after a chunk: of that chunk, or mended of an earlier one. Becomes an ``Event``."""

    chunk: Chunk
    payload: Any
    final: bool = True


KV = tuple[tuple[Tensor, Tensor], ...]  # per layer: keys and values (L, H, D), keys unrotated
