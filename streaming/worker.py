"""The engine's thread: one model, all its sessions, one loop. Commands come in, chunks go to the studio."""

from __future__ import annotations

import logging
import math
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

from unreel.engine.batch import Batch, Full, Limits, Outcome, Seat
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.streaming.backend import Began, Notice, Position, Receipt, Refused, Start
from unreel.streaming.pacing import StreamGate, begins_window
from unreel.streaming.present import manner
from unreel.streaming.protocol import ModelInfo
from unreel.streaming.steer import check_wire, controls_of, engine_name, steer
from unreel.streaming.studio import Studio

log = logging.getLogger("unreel.streaming")


def info_of(model: Model) -> ModelInfo:
    """What clients are told about a model."""
    card, controls, kind = model.card, model.controls, manner(model.card.modality)
    clips = model.seeds.get("frames")
    return ModelInfo(
        name=model.name, description=card.description, actions=list(model.actions),
        controls=controls_of(controls, card.presets, kind.forks), presets=list(card.presets), steps=card.schedule.steps,
        fps=model.fps, width=model.frame_size[1], height=model.frame_size[0],
        frames_per_chunk=model.frames_per_chunk, start_clips=0 if clips is None else len(clips),
        modality=card.modality, places=list(getattr(controls.get("place"), "names", ())),
        mesh=kind.takes,
    )  # fmt: skip


def _upcoming(session: Session) -> str | None:
    """The region of the chunk that is made next, where regions tell chunks apart and it is decided."""
    state, plan = session.state, session.plan
    if state.flights:
        return state.flights[0].chunk.region or None
    chunk = None if begins_window(session) else plan.chunk(state.next, state.route)
    return None if chunk is None else chunk.region


def public(error: Exception) -> str:
    """What a client may read of an error: a user's mistake in full, of anything else only its kind."""
    return str(error) if isinstance(error, UserError) else f"the session failed in the model ({type(error).__name__})"


class Worker:
    """A ``Backend``. Every public method may be called from any thread; the work happens on the worker's own."""

    def __init__(
        self,
        model: Model,
        limits: Limits,
        studio: Studio,
        deliver: Callable[[Notice], None],
        lead_s: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.model, self.studio, self.deliver, self.clock, self.lead_s = model, studio, deliver, clock, lead_s
        self.manner = manner(model.card.modality)
        self.batch = Batch(model, limits)
        self.seats: dict[str, Seat] = {}
        self._commands: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._positions: dict[str, int] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=f"engine-{model.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        """Close every session and end the thread; recordings are then with the studio."""
        self._commands.put(self._stop)
        self._thread.join()

    # ---- Backend ---------------------------------------------------------------------------------------------

    def open(self, id: str, start: Start) -> None:
        self._commands.put(lambda: self._open(id, start))

    def control(self, id: str, control: str, kind: str, value: Any) -> None:
        self._commands.put(lambda: self._control(id, control, kind, value))

    def fork(self, id: str, control: str, new: str, record: bool) -> None:
        self._commands.put(lambda: self._fork(id, control, new, record))

    def grant(self, id: str, upto: int) -> None:
        self._commands.put(lambda: self._grant(id, upto))

    def want(self, id: str, formats: frozenset[str]) -> None:
        self.studio.want(id, formats)

    def key(self, id: str, format: str, still: bool) -> None:
        self.studio.key(id, format, still)

    def touch(self, id: str) -> None:
        seat = self.seats.get(id)
        if seat is not None:
            seat.touched = self.clock()

    def close(self, id: str) -> None:
        self._commands.put(lambda: self._close(id))

    # ---- on the engine's thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            session = self.model.session(rewind=0)
            for kind, value in self.manner.example().controls if self.manner.example is not None else ():
                session.send(kind, value)
            for _ in session.stream(chunks=2 * self.manner.chunks):
                pass  # what is slow the first time is slow before anybody waits for it
        except Exception:
            log.exception("%s could not make its first chunks", self.model.name)
        while not self._stopping:
            try:
                self._turn()
            except Exception:  # never a reason to leave the other sessions without an engine
                log.exception("the engine of %s stumbled", self.model.name)
                time.sleep(0.05)

    def _turn(self) -> None:
        self._drain()
        for outcome in self.batch.step(self.clock()):
            self._report(outcome)
        self._tell_positions()
        if self.batch.last_size == 0:
            self._wait()

    def _drain(self) -> None:
        while not self._commands.empty():
            self._commands.get()()

    def _wait(self) -> None:
        """Until a command comes or the next chunk is due."""
        now = self.clock()
        pause = self.batch.next_time(now) - now
        if pause <= 0 or self._stopping:
            return
        try:
            command = self._commands.get(timeout=None if math.isinf(pause) else pause)
        except queue.Empty:
            return
        command()

    def _open(self, id: str, start: Start) -> None:
        gate = StreamGate(start.period, self.lead_s)
        try:
            seat = self.batch.open(id, lambda: self._make(start), self.clock(), gate)
        except Full as full:
            self.deliver(Refused(id, str(full), full.retry_after_s))
            return
        self.seats[id] = seat
        self.studio.open(id, self.model, start.record, start.shape)

    def _make(self, start: Start) -> Session:
        check_wire("action", start.options.get("actions"))
        session = self.model.session(**start.options, rewind=self.manner.rewind)
        if start.prompt is not None:
            session.send(engine_name("prompt", session.conditions), start.prompt)
        for kind, value in (*start.controls, *(start.shape.controls if start.shape is not None else ())):
            session.send(kind, value)
        return session

    def _control(self, id: str, control: str, kind: str, value: Any) -> None:
        seat = self.seats.get(id)
        for receipt in steer(seat, control, kind, value) if seat is not None else ():
            self.deliver(receipt)

    def _fork(self, id: str, control: str, new: str, record: bool) -> None:
        seat = self.seats.get(id)
        session = seat.session if seat is not None else None
        if session is None or seat is None:
            self.deliver(Refused(new, "the session has no place"))
            return
        old = seat.gate
        gate = StreamGate(old.pacer.period, self.lead_s) if isinstance(old, StreamGate) else None
        fork = session.fork()
        fork.paused = session.paused
        try:
            self.seats[new] = self.batch.adopt(new, fork, self.clock(), gate)
        except Full as full:
            self.deliver(Refused(new, str(full), full.retry_after_s))
            return
        self.studio.open(new, self.model, record, like=id)
        self.deliver(Receipt(id, control, "fork", "accepted"))
        self.deliver(Began(new, fork.state.seq, fork.paused))

    def _grant(self, id: str, upto: int) -> None:
        seat = self.seats.get(id)
        if seat is not None and isinstance(seat.gate, StreamGate):
            seat.gate.granted = upto

    def _close(self, id: str) -> None:
        seat = self.seats.pop(id, None)
        if seat is not None:
            self.batch.close(seat, self.clock())
            self.studio.end(id)

    def _stop(self) -> None:
        for id in list(self.seats):
            self._close(id)
        self._stopping = True

    def _report(self, outcome: Outcome) -> None:
        id, session = outcome.seat.id, outcome.seat.session
        if outcome.began:
            self._positions.pop(id, None)
            self.deliver(Began(id))
        alive = session if session is not None and not session.closed else None
        held, upcoming = (alive.context_bytes, _upcoming(alive)) if alive is not None else (0, None)
        for event in outcome.events:
            self.studio.put(id, event, held, upcoming)
        if not outcome.ended:
            return
        self.seats.pop(id, None)
        if outcome.error is not None and not isinstance(outcome.error, UserError):
            log.error("session %s failed", id[:6], exc_info=outcome.error)
        if outcome.error is not None and session is None:  # it never began
            self.studio.end(id)
            code = "bad_request" if isinstance(outcome.error, UserError) else "failed"
            self.deliver(Refused(id, public(outcome.error), code=code))
            return
        self.studio.end(id, outcome.ended, public(outcome.error) if outcome.error else "")

    def _tell_positions(self) -> None:
        for number, seat in enumerate(self.batch.waiting, start=1):
            if self._positions.get(seat.id) != number:
                self._positions[seat.id] = number
                self.deliver(Position(seat.id, number, self.batch.retry_after(self.clock())))
