"""All that changes while a session runs, in one place: copying it is a fork, saving it is a snapshot.

Tensors in here are never written into, so copies share them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from torch import Tensor

from unreel.engine.context.store import Context
from unreel.engine.interfaces import Memory
from unreel.engine.types import Chunk, Control


@dataclass
class Flight:
    """One chunk on its way from noise (level 0) to clean (level ``steps``).

    ``conditions`` are frozen when the chunk begins. ``kv`` are its keys and values of the last computed step
    per branch, kept only where a later chunk may need them (reuse in a pipelined schedule, inline commit);
    ``queries`` go with them for context policies that score by attention.
    """

    chunk: Chunk
    steps: int
    level: int
    begun: int
    state: Tensor
    conditions: dict[str, Tensor]
    applied: tuple[Control, ...] = ()
    draws: int = 1
    sampler: Memory = field(default_factory=dict)
    reuse: dict[str, Memory] = field(default_factory=dict)
    kv: dict[str, Any] = field(default_factory=dict)
    queries: dict[str, Any] = field(default_factory=dict)

    def copy(self) -> Flight:
        return replace(
            self,
            sampler=dict(self.sampler),
            reuse={branch: dict(memory) for branch, memory in self.reuse.items()},
            kv=dict(self.kv),
            queries=dict(self.queries),
        )


@dataclass(frozen=True)
class Past:
    """A finished chunk: its clean state and what it was told."""

    chunk: Chunk
    clean: Tensor
    conditions: dict[str, Tensor]


@dataclass(frozen=True)
class Held:
    """A control value in force, the latent frame since which it is, and what a blend starts from."""

    value: Any
    since: int
    before: Tensor | None = None


@dataclass
class SessionState:
    """Everything mutable of one session. ``clock`` counts steps, ``seq`` events, ``next`` chunks begun."""

    seed: int
    steps: int
    contexts: dict[str, Context]
    codec: dict[str, Tensor]
    seq: int = 0
    clock: int = 0
    next: int = 0
    flights: list[Flight] = field(default_factory=list)
    pending: list[Past] = field(default_factory=list)  # clean, not yet committed
    past: dict[int, Past] = field(default_factory=dict)  # finished chunks of which something is still kept
    held: dict[str, Held] = field(default_factory=dict)
    inbox: dict[str, Control] = field(default_factory=dict)  # the newest control of each kind, not yet applied
    route: Memory = field(default_factory=dict)  # what a steered plan has decided, see SteeredPlan
    sent: dict[int, int] = field(default_factory=dict)  # the seq of the newest chunks' events, by chunk
    obeyed: tuple[Control, ...] = ()  # resets and rewinds already carried out, to be told with the next chunk
    clip: int | None = None  # the seed clip that this world began from
    judged: tuple[int, ...] = ()  # what the ending remembers of this world
    over: bool = False  # this world has ended: another begins at the next chunk boundary

    def copy(self, with_rotated: bool = True) -> SessionState:
        """An independent state that shares every tensor."""
        contexts = {branch: context.fork(with_rotated) for branch, context in self.contexts.items()}
        return replace(
            self,
            contexts=contexts,
            codec=dict(self.codec),
            flights=[flight.copy() for flight in self.flights],
            pending=list(self.pending),
            past=dict(self.past),
            held=dict(self.held),
            inbox=dict(self.inbox),
            route=dict(self.route),
            sent=dict(self.sent),
        )
