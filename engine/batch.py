"""Many sessions on one model: who has a place, who takes part in the next backbone call, who fails alone.

Plain Python without threads or clocks: the caller passes ``now`` (seconds, any origin) and calls ``step`` in a loop.
Sessions join and leave between two steps, so a newcomer never waits for anybody's chunk to end (continuous
batching). Where more sessions are ready than one call may hold, those amid a chunk go first and then those that
have had the fewest chunks; whoever was away makes nothing up (start-time fair queueing, a chunk costs one).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from unreel.engine.begin import due
from unreel.engine.errors import UserError
from unreel.engine.generate import Work, compute, conclude, schedule
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.engine.types import CommitMode, Event


@dataclass(frozen=True, slots=True)
class Limits:
    """``sessions`` run at once, ``queue`` more may wait, ``batch`` share one backbone call.

    A session ends ``idle_s`` seconds after its last ``touch`` and ``lifetime_s`` seconds after it got its place;
    None is no limit.
    """

    sessions: int = 8
    queue: int = 32
    batch: int = 8
    idle_s: float | None = 600.0
    lifetime_s: float | None = None

    def __post_init__(self) -> None:
        for name, least in (("sessions", 1), ("queue", 0), ("batch", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name} must be {least} or more, got {getattr(self, name)}")
        for name in ("idle_s", "lifetime_s"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise UserError(f"{name} must be above 0 seconds, or none, got {value}")


class Full(UserError):
    """No place and no room in the queue. ``retry_after_s`` is when asking again may help."""

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class Gate:
    """Decides when a session may begin its next chunk. This one never holds it back."""

    def opens(self, seat: Seat, now: float) -> float:
        """The time from which the next chunk may begin; infinity: not until something changes. Must not mutate."""
        return -math.inf

    def begun(self, seat: Seat, now: float) -> None:
        """Called when a chunk begins."""


@dataclass(eq=False)
class Seat:
    """A session's place, or its place in the queue (``session`` is None until it has one).

    ``gate`` is asked at chunk boundaries only. ``extra`` chunks may be made although the session is paused.
    """

    id: str
    make: Callable[[], Session]
    gate: Gate
    session: Session | None = None
    extra: int = 0
    opened: float = 0.0
    touched: float = 0.0
    chunks: int = 0
    share: int = 0  # chunks it has had, on the clock of ``Batch.share``

    @property
    def begins(self) -> bool:
        """Whether the session's next step begins a chunk (and is not a commit pass alone)."""
        session = self.session
        assert session is not None, f"seat {self.id} has no place yet"
        if session.state.pending and session.schedule.commit is CommitMode.EXTRA_PASS:
            return False
        return due(session)

    def ready_at(self, now: float) -> float:
        """When the session may take part in a call: before ``now``, later, or never (infinity)."""
        assert self.session is not None, f"seat {self.id} has no place yet"
        if self.session.paused and self.extra == 0:
            return math.inf
        if not self.begins:
            return -math.inf
        return -math.inf if self.session.paused else self.gate.opens(self, now)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one step did to one seat. After ``error`` or with ``ended`` the seat is gone."""

    seat: Seat
    events: list[Event] = field(default_factory=list)
    error: Exception | None = None
    ended: str = ""  # "finished", "idle", "lifetime" or "failed"
    began: bool = False  # it got its place in this step


class Batch:
    """The sessions of one model. Everything is called from one thread."""

    def __init__(self, model: Model, limits: Limits | None = None) -> None:
        self.model, self.limits = model, limits or Limits()
        self.running: list[Seat] = []
        self.waiting: list[Seat] = []
        self.steps = 0
        self.share = 0  # start-time fair queueing: the share of whoever began a chunk last
        self.last_size = 0  # sessions in the last backbone call
        self._stays: list[float] = []  # how long the last few sessions held their place, for Retry-After

    # ---- coming and going --------------------------------------------------------------------------------

    def open(self, id: str, make: Callable[[], Session], now: float, gate: Gate | None = None) -> Seat:
        """Ask for a place; the session is made when there is one, in ``step``.

        Raises:
            Full: all places are taken and the queue is at its limit.
        """
        if len(self.running) >= self.limits.sessions and len(self.waiting) >= self.limits.queue:
            raise Full(
                f"all {self.limits.sessions} places are taken and {len(self.waiting)} wait", self.retry_after(now)
            )
        seat = Seat(id, make, gate or Gate(), touched=now)
        self.waiting.append(seat)
        return seat

    def adopt(self, id: str, session: Session, now: float, gate: Gate | None = None) -> Seat:
        """Give a session that exists already (a fork) a place at once.

        Raises:
            Full: there is none; forks do not queue.
        """
        if len(self.running) >= self.limits.sessions:
            raise Full(f"all {self.limits.sessions} places are taken: a fork needs one", self.retry_after(now))
        seat = Seat(id, lambda: session, gate or Gate(), session, opened=now, touched=now)
        self.running.append(seat)
        return seat

    def position(self, seat: Seat) -> int:
        """0 with a place, 1 for the next in the queue, and so on."""
        return self.waiting.index(seat) + 1 if seat in self.waiting else 0

    def touch(self, seat: Seat, now: float) -> None:
        """Somebody uses it: the idle clock starts anew."""
        seat.touched = now

    def close(self, seat: Seat, now: float) -> None:
        """Give the place or the queue position back; harmless when it is gone already."""
        if seat in self.waiting:
            self.waiting.remove(seat)
        if seat in self.running:
            self.running.remove(seat)
            self._stays = [*self._stays[-7:], now - seat.opened]
        if seat.session is not None:
            seat.session.close()

    def retry_after(self, now: float) -> float:
        """Seconds after which a place is likely: when the oldest session reaches the usual stay; 1 to 60."""
        if len(self.running) < self.limits.sessions:
            return 1.0
        stay = sorted(self._stays)[len(self._stays) // 2] if self._stays else self.limits.lifetime_s or 30.0
        oldest = min(seat.opened for seat in self.running)
        return min(60.0, max(1.0, stay - (now - oldest)))

    # ---- the loop ----------------------------------------------------------------------------------------

    def step(self, now: float) -> list[Outcome]:
        """Admit who can be, end who is over a limit, then one backbone call for all who are ready."""
        outcomes = [*self._expire(now), *self._admit(now)]
        seats = self.ready(now)
        self.last_size = len(seats)
        if seats:
            self.steps += 1
            outcomes += self._advance(seats, now)
        return outcomes

    def ready(self, now: float) -> list[Seat]:
        """Who takes part in the next call: chunks under way first, then whoever has had the fewest."""
        ready = [seat for seat in self.running if seat.ready_at(now) <= now]
        if len(ready) > self.limits.batch:
            ready = sorted(ready, key=lambda seat: (seat.begins, max(self.share, seat.share)))[: self.limits.batch]
        return ready

    def next_time(self, now: float) -> float:
        """When ``step`` has something to do, if nothing changes; infinity for never."""
        if self.waiting and len(self.running) < self.limits.sessions:
            return now
        times = [seat.ready_at(now) for seat in self.running] + [self._expiry(seat)[0] for seat in self.running]
        return max(now, min(times, default=math.inf))

    def _admit(self, now: float) -> Iterable[Outcome]:
        while self.waiting and len(self.running) < self.limits.sessions:
            seat = self.waiting.pop(0)
            try:
                seat.session = seat.make()
            except Exception as error:  # a bad option, a broken start: its own fault alone
                yield Outcome(seat, error=error, ended="failed")
                continue
            seat.opened = seat.touched = now
            self.running.append(seat)
            yield Outcome(seat, began=True)

    def _expiry(self, seat: Seat) -> tuple[float, str]:
        idle, life = self.limits.idle_s, self.limits.lifetime_s
        return min(
            (seat.touched + idle if idle is not None else math.inf, "idle"),
            (seat.opened + life if life is not None else math.inf, "lifetime"),
        )

    def _expire(self, now: float) -> Iterable[Outcome]:
        for seat in list(self.running):
            when, why = self._expiry(seat)
            if when <= now:
                self.close(seat, now)
                yield Outcome(seat, ended=why)

    def _advance(self, seats: list[Seat], now: float) -> Iterable[Outcome]:
        """One step of every seat. Whoever raises is closed; the others' results are as if it had not been there."""
        faults: dict[Seat, Exception] = {}
        works: dict[Seat, Work] = {}
        for seat in seats:
            if seat.begins:
                seat.gate.begun(seat, now)
                self.share = max(self.share, seat.share)
                seat.share = self.share + 1
            assert seat.session is not None, f"seat {seat.id} has no place yet"
            try:
                works[seat] = schedule(seat.session)
            except Exception as error:
                faults[seat] = error
        self._compute(works, faults)
        for seat in seats:
            events: list[Event] = []
            try:
                if seat not in faults:
                    events = conclude(works[seat])
            except Exception as error:
                faults[seat] = error
            yield self._outcome(seat, events, faults.get(seat), now)

    def _compute(self, works: dict[Seat, Work], faults: dict[Seat, Exception]) -> None:
        """One backbone call for all; where it fails, one for each, so that only the culprits fail."""
        try:
            compute(self.model, list(works.values()))
        except Exception:
            for seat, work in works.items():
                try:
                    compute(self.model, [work])
                except Exception as error:
                    faults[seat] = error

    def _outcome(self, seat: Seat, events: list[Event], error: Exception | None, now: float) -> Outcome:
        assert seat.session is not None, f"seat {seat.id} has no place yet"
        ended = "failed" if error is not None else "finished" if seat.session.finished else ""
        if events:
            made = sum(event.replaces is None for event in events)
            seat.chunks += made
            seat.extra = max(0, seat.extra - made)
        if ended:
            self.close(seat, now)
        return Outcome(seat, events, error, ended)
