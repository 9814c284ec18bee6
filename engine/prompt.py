"""Switching a prompt in mid-stream: what the chunks that exist already have to do with the new one.

``swap``: nothing; only chunks begun from now on are told (the self-attention context still carries the old prompt).
``recache``: the kept clean chunks are computed again under the new prompt, all in one block-causal call, and their keys
and values take the place of the old ones (LongLive, Yang et al. 2025, "KV-recache"). ``blend``: like swap, but the
prompt's features pass from old to new in a straight line over ``chunks`` chunks (as in Krea's realtime server).

This is for conditions that say ``prompts = True``. Chunks in flight keep what they were told when they began.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from unreel.engine import finish
from unreel.engine.errors import UserError
from unreel.engine.generate import Row, Work, commit, compute
from unreel.engine.interfaces import Condition
from unreel.engine.state import Held
from unreel.engine.types import Chunk, CommitMode

if TYPE_CHECKING:
    from unreel.engine.session import Session

WAYS = ("recache", "swap", "blend")
TOGETHER = 8  # chunks in one call of a recache


@dataclass(frozen=True)
class PromptSwitch:
    """``how`` a switch is answered; ``chunks`` of transition for ``blend``."""

    how: str = "recache"
    chunks: int = 4

    def __post_init__(self) -> None:
        if self.how not in WAYS:
            raise UserError(f"prompt_switch must be one of {', '.join(WAYS)}, got {self.how!r}")
        if self.chunks < 1:
            raise UserError(f"a blend takes 1 chunk or more, got {self.chunks}")

    @classmethod
    def of(cls, wish: str | Mapping[str, Any]) -> PromptSwitch:
        """From ``"blend"`` or ``{"class": "blend", "chunks": 6}``."""
        options = {"class": wish} if isinstance(wish, str) else dict(wish)
        how, chunks = options.pop("class", "recache"), options.pop("chunks", 4)
        if options or not isinstance(chunks, int):
            raise UserError(f"prompt_switch takes a class ({', '.join(WAYS)}) and chunks, got {wish}")
        return cls(how, chunks)


def told(condition: Condition, held: Held | None, chunk: Chunk, switch: PromptSwitch) -> Tensor:
    """What a chunk is told of one condition."""
    if held is None:
        return condition.encode(None, chunk, chunk.start)
    now = condition.encode(held.value, chunk, held.since)
    share = ((chunk.start - held.since) // chunk.frames + 1) / (switch.chunks + 1)
    return now if held.before is None or share >= 1 else torch.lerp(held.before, now, share)


def hold(session: Session, name: str, value: Any, chunk: Chunk) -> Held:
    """The control value in force from ``chunk`` on; a blend starts from what the chunk would have been told."""
    switch, condition = session.settings.prompt_switch, session.controls[name]
    held = session.state.held.get(name)
    if switch.how != "blend" or held is None or not getattr(condition, "prompts", False):
        return Held(value, chunk.start)
    return Held(value, chunk.start, told(condition, held, chunk, switch))


def switched(session: Session, names: set[str], chunk: Chunk) -> None:
    """Called when ``chunk`` is the first to obey new values of ``names``, before it begins."""
    switch, state = session.settings.prompt_switch, session.state
    prompts = {n for n in names if getattr(session.conditions[n], "prompts", False)}
    if switch.how != "recache" or not prompts or not state.past:
        return
    new = {n: told(session.conditions[n], state.held[n], chunk, switch) for n in prompts}
    state.past = {i: replace(p, conditions={**p.conditions, **new}) for i, p in state.past.items()}
    state.pending = [replace(p, conditions={**p.conditions, **new}) for p in state.pending]
    branches = [b for b in session.branches if not all(session.guidance.drops(b, n) for n in prompts)]
    if session.schedule.commit is not CommitMode.NEVER:
        recache(session, branches)


def recache(session: Session, branches: list[str]) -> None:
    """Compute the kept clean chunks again, in one block-causal call, and commit them to fresh contexts.

    More than ``TOGETHER`` chunks (contexts that keep a little of many) take several calls, each seeing those before it.
    What an earlier compaction had thrown away of a chunk is computed again with it, and the policy decides anew.
    """
    state = session.state
    kept = sorted(set().union(*(state.contexts[b].chunks for b in branches)) & set(state.past))
    if not kept:
        return
    past, waiting, flights = state.past, state.pending, state.flights
    fresh = session.fresh_contexts()
    for branch in branches:  # positions in these calls are those that the next chunk will see
        fresh[branch].begin, fresh[branch].end = state.contexts[branch].world
        state.contexts[branch] = fresh[branch]
    state.flights = []
    for first in range(0, len(kept), TOGETHER):
        state.pending = [past[index] for index in kept[first : first + TOGETHER]]
        work = Work(session)
        for branch in branches:
            work.rows[branch] = [
                Row(p.chunk, p.clean, 1.0, session.told(p.chunk, p.conditions, branch), keep=True)
                for p in state.pending
            ]
        compute(session.model, [work])
        session.stats.computed(work)
        commit(session, work)
        state.past = past
    state.pending, state.flights = waiting, flights
    finish.forget(session)
