"""When the next chunk may begin, so that chunks come at the rate they are watched. Pure: time is passed in."""

from __future__ import annotations

import math
from dataclasses import dataclass

from unreel.engine.batch import Gate, Seat
from unreel.engine.plan import steered
from unreel.engine.session import Session


@dataclass
class Pacer:
    """Chunk n may begin at ``anchor + n * period - lead``; ``period`` 0 does not pace.

    After a stall of more than a period (nobody watched, a slow step, a pause) the anchor moves: what was missed
    is not made up for in a hurry.
    """

    period: float
    lead: float = 0.0
    anchor: float | None = None
    count: int = 0

    def due(self) -> float:
        if self.anchor is None or self.period <= 0:
            return -math.inf
        return self.anchor + self.count * self.period - self.lead

    def begun(self, now: float) -> None:
        """A chunk begins now."""
        if self.anchor is None:
            self.anchor = now
        elif now - self.due() > self.period:
            self.anchor = now + self.lead - self.count * self.period
        self.count += 1


class StreamGate(Gate):
    """The gate of a streamed session: paced, and only so far ahead of what the viewers can take.

    ``granted`` is how many chunks (counted by their seq) may have been begun; the hub raises it as viewers
    acknowledge. Where several chunks share a span of time (the faces of a window), only the first of them is held
    back. A control that waits lets the next chunk begin at once, at most one period early: it is seen after two chunks'
    work at the latest, however long the period. The rate stays: the chunk after it comes when it was due.
    Only the engine's thread touches a gate.
    """

    def __init__(self, period: float, lead: float) -> None:
        self.pacer = Pacer(period, lead)
        self.granted = 0

    def opens(self, seat: Seat, now: float) -> float:
        session = seat.session
        assert session is not None, "a gate is asked once the session has a place"
        if session.state.seq + len(session.state.flights) >= self.granted:
            return math.inf
        if not begins_window(session):
            return -math.inf
        return self.pacer.due() - (self.pacer.period if session.state.inbox else 0.0)

    def begun(self, seat: Seat, now: float) -> None:
        assert seat.session is not None, "a gate is asked once the session has a place"
        if begins_window(seat.session):
            self.pacer.begun(now)


def begins_window(session: Session) -> bool:
    """Whether the next chunk begins a span of time of its own; each does, unless the plan says otherwise."""
    plan, state = session.plan, session.state
    return not steered(plan) or plan.boundary(state.next, state.route)
