"""How a chunk begins: its time has come, controls take effect, and what it is told is frozen.

A plan that is steered (``SteeredPlan``) decides its order here as well, whenever the session comes to a boundary of it;
what such a plan is *given* (a view of a cube face) enters the past at once, without being denoised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from unreel.engine import finish, prompt
from unreel.engine.plan import steered
from unreel.engine.state import Flight, Past
from unreel.engine.types import Chunk, Control

if TYPE_CHECKING:
    from unreel.engine.session import Session


def begin_chunks(session: Session) -> None:
    """Begin every chunk whose time has come; controls take effect here."""
    while due(session):
        state, plan = session.state, session.plan
        upcoming = plan.chunk(state.next, state.route)
        if upcoming is None:
            return
        applied: tuple[Control, ...] = ()
        if steered(plan):
            if plan.boundary(state.next, state.route):
                applied = apply_controls(session, upcoming)
                state.route = plan.decide(state.next, state.route, state.held)
                upcoming = plan.chunk(state.next, state.route) or upcoming
        else:
            applied = apply_controls(session, upcoming)
        _begin(session, upcoming, applied)
        state.next = upcoming.index + 1


def _begin(session: Session, chunk: Chunk, applied: tuple[Control, ...]) -> None:
    state = session.state
    conditions = told(session, chunk)
    if chunk.given and steered(session.plan):
        state.obeyed = (*state.obeyed, *applied)  # told with the first chunk that is emitted
        finish.remember(session, Past(chunk, session.plan.given(chunk, conditions), conditions))
        return
    applied, state.obeyed = (*state.obeyed, *applied), ()
    noise = session.noise(chunk, state.steps, 0)
    state.flights.append(Flight(chunk, state.steps, 0, state.clock, noise, conditions, applied))


def due(session: Session) -> bool:
    """Whether the next chunk's time has come."""
    flights = session.state.flights
    if not flights:
        return True
    newest = flights[-1]
    return session.state.clock - newest.begun >= session.schedule.gap_after(newest.steps)


def apply_controls(session: Session, chunk: Chunk) -> tuple[Control, ...]:
    """Let the queued controls shape ``chunk`` and what follows; those carried out already are told with them."""
    state = session.state
    fresh = tuple(state.inbox.values())
    applied = (*state.obeyed, *fresh)
    state.inbox, state.obeyed = {}, ()
    for control in fresh:
        if control.kind == "seed":
            state.seed = control.value
        elif control.kind == "steps":
            state.steps = control.value
        elif control.kind in session.controls:
            state.held[control.kind] = prompt.hold(session, control.kind, control.value, chunk)
    prompt.switched(session, {c.kind for c in fresh if c.kind in session.conditions}, chunk)
    return applied


def told(session: Session, chunk: Chunk) -> dict[str, Tensor]:
    """What a chunk is told, by name: its conditions, and what a steered plan says of it."""
    held, switch = session.state.held, session.settings.prompt_switch
    words = {n: prompt.told(condition, held.get(n), chunk, switch) for n, condition in session.conditions.items()}
    if steered(session.plan):
        with torch.inference_mode():
            words |= session.plan.told(chunk, session.state.route, session.state.past)
    if hasattr(session.model.codec, "told"):
        words, session.state.codec = session.model.codec.told(words, session.state.codec)
    return words
