"""When a world is over, and how the next one begins.

An ending (``Ending``) judges every chunk that is emitted. The world whose end it sees is dropped at the next chunk
boundary, with the chunks of it that are in flight, and the session goes on with a new one: from the next seed clip
where it began from one, from the same start otherwise. Chunk indices, events, held controls and random streams go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from unreel.engine import registry
from unreel.engine import start as starting
from unreel.engine.errors import UserError
from unreel.engine.interfaces import Ending
from unreel.engine.state import Past
from unreel.engine.types import Control

if TYPE_CHECKING:
    from unreel.engine.model import Model
    from unreel.engine.session import Session


def of_model(model: Model) -> Ending | None:
    """The ending that a model's card names.

    Raises:
        UserError: an unknown one, or chunks of this model are not whole frames in time order, equally many each.
    """
    card = model.card
    if card.ending is None:
        return None
    if card.plan.get("class", "time") != "time" or hasattr(model.codec, "emit") or model.lead:
        raise UserError(f"{card.name} cannot have an ending: only chunks of whole frames, all equally many, have one")
    ending: Ending = registry.create("ending", card.ending)
    return ending


def asked(model: Model, wish: Mapping[str, Any]) -> Ending | None:
    """The ending that a session with these options heeds: the card's; none if ``restart`` or ``decode`` is False.

    Raises:
        UserError: a restart that nothing could bring about.
    """
    restart = wish.get("restart")
    if restart is not None and not isinstance(restart, bool):
        raise UserError(f"restart is True or False, got {restart!r}")
    decode = wish.get("decode", True)
    if restart and model.ending is None:
        raise UserError(f"{model.name} has no ending in its card, so its world is never over: leave out restart")
    if restart and not decode:
        raise UserError("restart needs frames to judge: leave out decode=False")
    return model.ending if decode and restart is not False else None


def begin_anew(session: Session) -> None:
    """Drop the world that is over and begin the next; later, where an earlier chunk of it has yet to be emitted."""
    state = session.state
    upcoming = max(state.sent) + 1
    dropped = [flight for flight in state.flights if flight.chunk.index >= upcoming]
    state.flights = [flight for flight in state.flights if flight.chunk.index < upcoming]
    state.obeyed = (*(control for flight in dropped for control in flight.applied), *state.obeyed)
    state.next = upcoming
    if state.flights or session.plan.chunk(upcoming, state.route) is None:
        return
    pasts, state.codec, state.clip = _opening(session, upcoming)
    state.contexts, state.past, state.pending = session.fresh_contexts(), {}, []
    first = pasts[0].chunk if pasts else session.plan.chunk(upcoming, state.route)
    for context in state.contexts.values():
        context.begin = context.end = first.start if first is not None else 0
    starting.enter(session, pasts)
    state.judged, state.over = (), False
    state.obeyed = (*state.obeyed, Control("restart", state.clip, f"restart-{upcoming}"))
    session.stats.restarts += 1


def _opening(session: Session, upcoming: int) -> tuple[list[Past], dict[str, Any], int | None]:
    """What the world from chunk ``upcoming`` on begins with, the codec's state after it, and which seed clip it is."""
    model, origin = session.model, session.origin
    if session.state.clip is not None:
        clip = (session.state.clip + 1) % len(model.seeds["frames"])
        media, actions, _ = starting.choose(model, 0, clip, None)
        first = upcoming - starting.chunks_in(model, media)
        return *starting.opening(session, media, actions, upcoming - first, first), clip
    pasts = []
    for index, past in sorted(origin.past.items()):
        chunk = session.plan.chunk(index + upcoming - origin.next, session.state.route)
        assert chunk is not None, "it lies before a chunk that exists"
        pasts.append(replace(past, chunk=chunk))
    return pasts, dict(origin.codec), None
