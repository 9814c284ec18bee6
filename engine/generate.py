"""The loop. One step of any number of sessions is: schedule, compute, conclude.

for step in schedule:                 which chunks go from which level to which; what reuse lets us skip
    compute                           every row of every session in one backbone call
    conclude                          guidance, sampler, commit, compact, decode, emit
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unreel.engine.begin import begin_chunks
from unreel.engine.context.view import RowsView, Track, Watch
from unreel.engine.draws import Draws
from unreel.engine.ending import begin_anew
from unreel.engine.finish import finish, forget, recomputed
from unreel.engine.reuse.base import Item
from unreel.engine.state import Flight, Past
from unreel.engine.threads import fitting
from unreel.engine.types import KV, Chunk, CommitMode, Event

if TYPE_CHECKING:
    from unreel.engine.model import Model
    from unreel.engine.session import Session


@dataclass
class Row:
    """One chunk in one guidance branch, as the backbone sees it. ``item`` is None for a clean chunk."""

    chunk: Chunk
    state: Tensor
    time: float
    conditions: dict[str, Tensor]
    item: Item | None = None
    keep: bool = False  # its keys and values are wanted
    clean: Tensor | None = None  # filled by compute
    kv: KV = ()
    queries: list[Tensor] | None = None


@dataclass
class Work:
    """What one session wants from one step. ``rows`` per branch, in plan order."""

    session: Session
    rows: dict[str, list[Row]] = field(default_factory=dict)
    skipped: list[Item] = field(default_factory=list)
    moving: bool = False  # flights advance (False: a commit pass alone)
    seconds: float = 0.0


def advance(sessions: Sequence[Session]) -> list[list[Event]]:
    """One step of every session, all of one model, in one backbone call. Returns each session's events."""
    works = [schedule(session) for session in sessions]
    compute(sessions[0].model, works)
    return [conclude(work) for work in works]


def schedule(session: Session) -> Work:
    """Decide what moves: begin chunks whose time has come, join pending commits, split off what is reused."""
    work = Work(session)
    session.obey_reset()
    if session.state.over:
        begin_anew(session)
    mode, state = session.schedule.commit, session.state
    commit_alone = bool(state.pending) and mode is CommitMode.EXTRA_PASS
    if not commit_alone and not state.over:
        begin_chunks(session)
    work.moving = not commit_alone and bool(state.flights)
    items = [_item(session, f, b) for f in state.flights for b in session.branches] if work.moving else []
    run, work.skipped = session.reuse.split(items)
    for branch in session.branches:
        clean = recomputed(session) if mode is CommitMode.NEVER and work.moving else state.pending
        rows = [_clean_row(session, past, branch, mode) for past in clean]
        rows += [_noisy_row(session, item) for item in run if item.branch == branch]
        work.rows[branch] = sorted(rows, key=lambda row: row.chunk.index)
    return work


def compute(model: Model, works: Sequence[Work], watch: Watch | None = None) -> None:
    """One backbone call over all rows of all works; fills ``clean``, ``kv`` and ``queries`` of each row.

    ``watch`` sees every attention, for profiling.
    """
    rows = [row for work in works for part in work.rows.values() for row in part]
    if not rows:
        return
    began = time.perf_counter()
    tracks, at = [], 0
    for work in works:
        for branch, part in work.rows.items():
            if part:
                tracks.append(_track(work, branch, part, at))
                at += len(part)
    with torch.inference_mode():
        states = torch.stack([row.state for row in rows]).to(model.device, model.dtype)
        times = torch.tensor([row.time for row in rows], dtype=torch.float32, device=model.device)
        names = rows[0].conditions
        condition = {n: model.together(n, [r.conditions[n] for r in rows]) for n in names}
        view = RowsView(tracks, model.backbone.rope, model.coords_of, model.attention, watch)
        if getattr(model.backbone, "draws", False):
            view.draw = Draws.of(works)
        with fitting(len(rows) * len(model.coords_of(rows[0].chunk))):
            clean = model.backbone(states, times, view, condition).float()
    for index, row in enumerate(rows):
        row.clean = clean[index]
        if row.keep:
            row.kv, row.queries = tuple(view.captured[index]), view.queries.get(index)
    for work in works:
        work.seconds = time.perf_counter() - began


def conclude(work: Work) -> list[Event]:
    """Commit what is pending, move every chunk one level, decode and emit those that are clean."""
    session, state = work.session, work.session.state
    session.stats.computed(work)
    commit(session, work)
    if not work.moving:
        return []
    predictions: dict[tuple[int, str], Tensor] = {}
    for item in work.skipped:
        predictions[item.chunk.index, item.branch] = session.reuse.replay(item)
    for branch, rows in work.rows.items():
        for row in rows:
            if row.item is not None and row.clean is not None:
                session.reuse.record(row.item, row.clean)
                predictions[row.chunk.index, branch] = row.clean
    _keep_kv(session, work)
    for flight in state.flights:
        _move(session, flight, {b: predictions[flight.chunk.index, b] for b in session.branches})
    state.clock += 1
    done = [f for f in state.flights if f.level == f.steps]
    state.flights = [f for f in state.flights if f.level < f.steps]
    if done:
        session.stats.context(session.context_bytes)
    return [event for flight in done for event in finish(session, flight)]


def settle(session: Session) -> None:
    """Commit what is pending at once, in a call of its own, so that forks made next share it."""
    mode, state = session.schedule.commit, session.state
    if not state.pending or mode is CommitMode.NEVER:
        return
    work = Work(session)
    for branch in session.branches:
        work.rows[branch] = [_clean_row(session, past, branch, mode) for past in state.pending]
    compute(session.model, [work])
    session.stats.computed(work)
    commit(session, work)


def commit(session: Session, work: Work) -> None:
    """Enter the pending chunks' keys and values of this call into the context (never from reuse)."""
    state = session.state
    if not state.pending or session.schedule.commit is CommitMode.NEVER:
        return
    began = time.perf_counter()
    for past in state.pending:
        for branch, rows in work.rows.items():
            row = next(r for r in rows if r.item is None and r.chunk.index == past.chunk.index)
            coords = session.model.coords_of(past.chunk)
            state.contexts[branch].commit(past.chunk, row.kv, coords, row.queries)
    state.pending = []
    forget(session)
    session.stats.context(session.context_bytes, time.perf_counter() - began)


def _item(session: Session, flight: Flight, branch: str) -> Item:
    times = session.times(flight.steps)
    memory = flight.reuse.setdefault(branch, {})
    return Item(
        flight.chunk,
        branch,
        flight.level,
        times,
        flight.state,
        memory,
        lambda: session.model.signal(flight.state),
    )


def _clean_row(session: Session, past: Past, branch: str, mode: CommitMode) -> Row:
    conditions = session.told(past.chunk, past.conditions, branch)
    return Row(past.chunk, past.clean, 1.0, conditions, keep=mode is not CommitMode.NEVER)


def _noisy_row(session: Session, item: Item) -> Row:
    flight = session.flight(item.chunk.index)
    conditions = session.told(item.chunk, flight.conditions, item.branch)
    inline = item.last and session.schedule.commit is CommitMode.INLINE
    return Row(item.chunk, item.state, item.times[0], conditions, item, keep=inline or session.keeps_kv)


def _track(work: Work, branch: str, rows: Sequence[Row], at: int) -> Track:
    session = work.session
    inside = {row.chunk.index for row in rows}
    standins = [
        (f.chunk, f.kv[branch]) for f in session.state.flights if f.chunk.index not in inside and branch in f.kv
    ]
    return Track(
        session.state.contexts[branch],
        [(at + i, row.chunk) for i, row in enumerate(rows)],
        {at + i for i, row in enumerate(rows) if row.keep},
        partial(session.plan.sees, route=session.state.route) if session.choosy else None,
        standins,
        {at + i for i, row in enumerate(rows) if row.item is None},
    )


def _keep_kv(session: Session, work: Work) -> None:
    """In-flight keys and values of the last computed step, for chunks that will see a reused neighbour."""
    for branch, rows in work.rows.items():
        for row in rows:
            if row.item is not None and row.keep:
                flight = session.flight(row.chunk.index)
                flight.kv[branch] = row.kv
                if row.queries is not None:
                    flight.queries[branch] = tuple(row.queries)


def _move(session: Session, flight: Flight, predictions: dict[str, Tensor]) -> None:
    clean = session.guidance.combine(predictions)
    times = session.times(flight.steps)

    def noise() -> Tensor:
        flight.draws += 1
        return session.noise(flight.chunk, flight.steps, flight.draws)

    t_from, t_to = times[flight.level], times[flight.level + 1]
    with torch.inference_mode():
        flight.state = session.sampler.step(flight.state, clean, t_from, t_to, flight.sampler, noise)
    flight.level += 1
