"""How a chunk ends: it is clean, remembered, committed, decoded and emitted."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from unreel.engine.plan import steered
from unreel.engine.state import Flight, Past, SessionState
from unreel.engine.types import CommitMode, Emission, Event

if TYPE_CHECKING:
    from unreel.engine.session import Session

SENT = 64  # newest chunks whose events may still be replaced


def finish(session: Session, flight: Flight) -> list[Event]:
    """A chunk is clean: remember it, decode it and make its events (one, unless the codec mends earlier chunks too)."""
    state, codec = session.state, session.model.codec
    past = Past(flight.chunk, flight.state, flight.conditions)
    remember(session, past, flight)
    if steered(session.plan):
        state.route = session.plan.after(past, state.route)
    began = time.perf_counter()
    if not session.settings.decode:
        emissions = [Emission(flight.chunk, flight.state)]
    elif hasattr(codec, "emit"):
        emissions, state.codec = codec.emit(flight.chunk, flight.state, flight.conditions, state.codec)
    else:
        payload, state.codec = codec.decode(flight.state, state.codec)
        emissions = [Emission(flight.chunk, payload)]
    timing = session.stats.emitted(time.perf_counter() - began)
    events = []
    for emission in emissions:
        own = emission.chunk.index == flight.chunk.index
        replaces = None if own else state.sent[emission.chunk.index]
        applied, spent = (flight.applied, timing) if own else ((), {})
        events.append(
            Event(state.seq, emission.chunk, flight.level, emission.final, emission.payload, applied, replaces, spent)
        )
        if own:
            state.sent[emission.chunk.index] = state.seq
        state.seq += 1
    state.sent = dict(list(state.sent.items())[-SENT:])
    ending = session.settings.ending
    if ending is not None and not state.over:
        state.judged, state.over = ending.judge(emissions[0].payload, state.judged)
    session.mark_history()
    return events


def remember(session: Session, past: Past, flight: Flight | None = None) -> None:
    """Take a clean chunk into the past: commit it now (inline) or note it as pending."""
    state, mode = session.state, session.schedule.commit
    state.past[past.chunk.index] = past
    if mode is CommitMode.NEVER:
        for context in state.contexts.values():
            context.end = max(context.end, past.chunk.start + past.chunk.frames)
        forget(session)
    elif mode is CommitMode.INLINE and flight and all(b in flight.kv for b in session.branches):
        for branch, context in state.contexts.items():
            kv, queries = flight.kv[branch], flight.queries.get(branch)
            context.commit(past.chunk, kv, session.model.coords_of(past.chunk), queries)
        forget(session)
    else:
        state.pending.append(past)


def recomputed(session: Session) -> list[Past]:
    """With commit mode ``never``: the finished chunks that every step computes again."""
    past = session.state.past
    return [past[index] for index in session.settings.recomputed(sorted(past))]


def forget(session: Session) -> None:
    """Drop clean states that nothing refers to any more, and what no chunk to come may look at."""
    state, plan = session.state, session.plan
    if steered(plan):
        stale = {i for i, past in state.past.items() if plan.stale(past.chunk, state.route)}
        for context in state.contexts.values():
            context.drop(stale)
        state.past = {i: past for i, past in state.past.items() if i not in stale}
    if session.schedule.commit is CommitMode.NEVER:
        keep = {past.chunk.index for past in recomputed(session)}
        keep |= {index - 1 for index in keep}
    else:
        keep = set().union(*(c.chunks for c in state.contexts.values()))
    newest = max(state.past, default=0)
    keep |= {newest, *(p.chunk.index - 1 for p in state.pending), *(f.chunk.index - 1 for f in state.flights)}
    if steered(plan) and newest in state.past:
        since = state.past[newest].chunk.start - plan.recall
        keep |= {i for i, past in state.past.items() if past.chunk.start >= since}
    state.past = {index: past for index, past in state.past.items() if index in keep}


def next_emitted(state: SessionState) -> int:
    """The chunk that a state will emit next."""
    return state.flights[0].chunk.index if state.flights else state.next
