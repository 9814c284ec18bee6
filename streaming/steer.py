"""From a control on the wire to the session it steers. Runs on the engine's thread, between two steps."""

from __future__ import annotations

from typing import Any

from unreel.engine.batch import Seat
from unreel.engine.errors import UserError
from unreel.engine.finish import next_emitted
from unreel.engine.session import Session
from unreel.engine.types import Control
from unreel.streaming.backend import Receipt

NAMES = {"prompt": "text"}  # wire name to the engine's, where they differ
AT_ONCE = ("pause", "resume", "step", "rewind")  # in force when accepted; all others at the next chunk boundary
ALWAYS = ("seed", "steps", "pause", "resume", "step", "reset", "fork", "rewind")


SEEDS = 2**63
STEPS = 1000
SCRIPT = 100_000  # frames of one action script


def check_wire(kind: str, value: Any) -> None:
    """Bounds that a stranger's value has to keep, beyond what the model itself checks.

    Raises:
        UserError: a value that would cost the server too much.
    """
    if kind == "steps" and isinstance(value, int) and not 1 <= value <= STEPS:
        raise UserError(f"steps lie in 1..{STEPS}, got {value}")
    if kind == "seed" and isinstance(value, int) and not 0 <= value < SEEDS:
        raise UserError(f"a seed lies in 0..{SEEDS - 1}, got {value}")
    if kind == "action" and isinstance(value, str):
        counts = [entry.rpartition("-")[2].strip() for entry in value.split(",") if "-" in entry]
        if any(len(c) > 6 for c in counts) or sum(int(c) for c in counts if c.isdecimal()) > SCRIPT:
            raise UserError(f"an action script has at most {SCRIPT} frames")


def controls_of(conditions: Any, presets: Any, forks: bool = True) -> list[str]:
    """The control kinds that a model with these conditions and presets obeys."""
    named = [wire for wire in ("action", "camera", "place", "view", "path") if wire in conditions]
    named += ["prompt"] if "text" in conditions or "prompt" in conditions else []
    return [*named, *(["preset"] if presets else []), *(word for word in ALWAYS if forks or word != "fork")]


def engine_name(kind: str, conditions: Any) -> str:
    """The protocol's control kind as a model with these conditions names it."""
    return kind if kind in conditions else NAMES.get(kind, kind)


def steer(seat: Seat, id: str, kind: str, value: Any) -> list[Receipt]:
    """Give a control to a session and say what became of it, the control it replaces included."""
    session = seat.session
    if session is None:
        return [Receipt(seat.id, id, kind, "rejected", reason="the session has no place yet")]
    try:
        check_wire(kind, value)
        if kind == "step":
            id = id or "step"
            _step(seat, session, value)
        elif kind == "preset":
            kind, value = "preset", _preset_steps(session, value)
            return _sent(seat, session, id, kind, Control("steps", value, id))
        else:
            return _sent(seat, session, id, kind, Control(engine_name(kind, session.conditions), value, id))
    except UserError as error:
        return [Receipt(seat.id, id, kind, "rejected", reason=str(error))]
    return _at_once(seat, session, id, kind)


def _sent(seat: Seat, session: Session, id: str, kind: str, control: Control) -> list[Receipt]:
    older = session.state.inbox.get(control.kind)
    ready = session.send(control)
    receipts = [Receipt(seat.id, ready, kind, "accepted")]
    if kind in AT_ONCE:
        return _at_once(seat, session, ready, kind)
    if older is not None and older.id != ready:
        receipts.insert(0, Receipt(seat.id, older.id, wire_name(older.kind), "replaced", reason=f"by {ready}"))
    return receipts


def _at_once(seat: Seat, session: Session, id: str, kind: str) -> list[Receipt]:
    chunk, seq = next_emitted(session.state), session.state.seq
    return [Receipt(seat.id, id, kind, "accepted"), Receipt(seat.id, id, kind, "applied", chunk, seq)]


def _step(seat: Seat, session: Session, value: Any) -> None:
    count = 1 if value is None else value
    if not isinstance(count, int) or not 1 <= count <= 100:
        raise UserError(f"step takes a number of chunks from 1 to 100, got {value!r}")
    if not session.paused:
        raise UserError("step makes single chunks of a paused session: pause first")
    seat.extra += count


def _preset_steps(session: Session, name: Any) -> int:
    """The steps of a preset; only those can change while a session runs."""
    presets = session.model.card.presets
    if not isinstance(name, str) or name not in presets:
        raise UserError(f"presets of {session.model.name}: {', '.join(presets) or 'none'}; got {name!r}")
    wish = presets[name]
    if set(wish) != {"steps"}:
        raise UserError(f"preset {name} changes {', '.join(sorted(wish))}: choose it in configure, for a new session")
    return int(wish["steps"])


def wire_name(kind: str) -> str:
    """The engine's control kind as the protocol names it."""
    return next((wire for wire, engine in NAMES.items() if engine == kind), kind)
