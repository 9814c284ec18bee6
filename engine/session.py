"""A session: one running generation. It owns all mutable state; the model it runs on owns none."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import Tensor

from unreel.engine.context.store import Context
from unreel.engine.errors import UserError
from unreel.engine.finish import next_emitted
from unreel.engine.generate import advance
from unreel.engine.plan import choosy
from unreel.engine.reuse.base import Never
from unreel.engine.rng import normal
from unreel.engine.state import Flight, SessionState
from unreel.engine.stats import Stats
from unreel.engine.types import Chunk, Control, Event

if TYPE_CHECKING:
    from unreel.engine.model import Model
    from unreel.engine.settings import Settings

STEERING = ("seed", "steps", "pause", "resume", "reset", "rewind")


class Session:
    """Made by ``Model.session``. Iterate ``stream()``; ``send`` controls; ``fork``, ``rewind``, ``snapshot``."""

    def __init__(self, model: Model, settings: Settings, state: SessionState | None = None) -> None:
        self.model, self.settings = model, settings
        self.schedule, self.guidance = settings.schedule, settings.guidance
        self.sampler, self.grid, self.reuse = settings.sampler, settings.grid, settings.reuse
        self.plan, self.conditions = settings.plan, model.conditions
        self.controls = model.controls
        self.choosy = choosy(self.plan)
        self.branches = self.guidance.branches
        self.keeps_kv = self.schedule.pipelined and not isinstance(self.reuse, Never)
        self.paused = self.closed = False
        self.stats = Stats()
        self._ids = count(1)
        self._history: deque[SessionState] = deque(maxlen=settings.rewind)
        self.state = state or self._fresh()
        self.mark_origin()

    def _fresh(self) -> SessionState:
        codec = self.model.codec.new_state()
        state = SessionState(self.settings.seed, self.schedule.steps, self.fresh_contexts(), codec)
        if self.schedule.gap == 0 and self.plan.chunk(10**9, {}) is not None:
            raise UserError("offset 0 denoises the whole sequence together, so it needs a length in chunks")
        return state

    def fresh_contexts(self) -> dict[str, Context]:
        """An empty context for every branch."""
        backbone, settings = self.model.backbone, self.settings
        sizes = backbone.rope, backbone.layers, backbone.heads
        return {b: Context.empty(settings.context, *sizes, *settings.keeping) for b in self.branches}

    def mark_origin(self) -> None:
        """Make the state as it is now the one that a reset goes back to."""
        self.origin = self.state.copy(with_rotated=False)

    # ---- what a user calls -------------------------------------------------------------------------------

    def send(self, control: Control | str, value: Any = None) -> str:
        """Queue a control; the newest of a kind wins and takes effect at the next chunk boundary.

        Returns the control's id, which comes back in ``Event.applied``.

        Raises:
            UserError: a kind or value that this model cannot obey. Nothing is queued then.
        """
        if isinstance(control, str):
            control = Control(control, value)
        known = (*STEERING, *self.controls)
        if control.kind not in known:
            raise UserError(f"this model takes the controls {', '.join(known)}; got {control.kind!r}")
        value = self._checked(control.kind, control.value)
        ready = Control(control.kind, value, control.id or f"c{next(self._ids)}")
        if ready.kind in ("pause", "resume"):
            self.paused = ready.kind == "pause"
            self.stats.resume_clock()
        elif ready.kind == "rewind":
            self.rewind(ready.value)
            self.state.obeyed += (ready,)
        else:
            self.state.inbox[ready.kind] = ready
        return ready.id

    def _checked(self, kind: str, value: Any) -> Any:
        if kind in self.controls:
            return self.controls[kind].check(value)
        if kind in ("seed", "steps", "rewind"):
            if not isinstance(value, int) or isinstance(value, bool):
                raise UserError(f"{kind} takes a whole number, got {value!r}")
            if kind == "steps":
                self.grid.times(value)
        return value

    def stream(self, chunks: int | None = None, frames: int | None = None, actions: Any = None) -> Iterator[Event]:
        """Yield events as chunks finish: so many ``chunks``, or enough for ``frames``, or endlessly.

        Ends early when the plan ends or the session is paused or closed. ``actions`` is sent as a control first.

        Raises:
            UserError: a count below 1, or actions the model lacks.
        """
        wanted = self._wanted(chunks, frames)
        if actions is not None:
            self.send("action", actions)
        return self._events(wanted)

    def _events(self, wanted: int | None) -> Iterator[Event]:
        self.stats.resume_clock()
        emitted = 0
        while not (self.closed or self.paused or self.finished) and (wanted is None or emitted < wanted):
            for event in advance([self])[0]:
                emitted += event.replaces is None
                yield event

    async def astream(
        self, chunks: int | None = None, frames: int | None = None, actions: Any = None
    ) -> AsyncIterator[Event]:
        """``stream`` for asyncio: steps run in a thread, and a paused session waits to be resumed."""
        wanted = self._wanted(chunks, frames)
        if actions is not None:
            self.send("action", actions)
        emitted = 0
        while not (self.closed or self.finished) and (wanted is None or emitted < wanted):
            if self.paused:
                await asyncio.sleep(0.01)
                continue
            for event in (await asyncio.to_thread(advance, [self]))[0]:
                emitted += event.replaces is None
                yield event

    def fork(self) -> Session:
        """A second session that goes on from here; what is immutable is shared."""
        other = Session(self.model, self.settings, self.state.copy())
        other.origin = self.origin.copy()
        other._history.extend(self._history)
        return other

    def rewind(self, chunk: int) -> None:
        """Go back to where ``chunk`` had just been emitted; the next event is the chunk after it.

        Raises:
            UserError: further back than ``Settings.rewind`` chunks, or not emitted yet.
        """
        marks = {next_emitted(state): state for state in self._history}
        if chunk + 1 not in marks:
            reach = sorted(mark - 1 for mark in marks)
            span = f"chunks {reach[0]} to {reach[-1]} can be gone back to" if reach else "nothing is kept to go back to"
            raise UserError(f"cannot rewind to chunk {chunk}: {span} (session option rewind={self._history.maxlen})")
        seq = self.state.seq
        self.state = marks[chunk + 1].copy()
        self.state.seq = seq
        while self._history and next_emitted(self._history[-1]) > chunk + 1:
            self._history.pop()

    def snapshot(self, path: str | Path) -> None:
        """Save the session (safetensors); ``Model.restore`` continues bit for bit."""
        from unreel.engine.snapshot import save

        save(self, Path(path))

    def close(self) -> None:
        """Free everything; streams end."""
        self.closed = True
        self._history.clear()
        self.state = SessionState(self.state.seed, self.state.steps, {}, {})
        self.origin = self.state

    @property
    def finished(self) -> bool:
        """Whether the plan has ended and nothing is in flight."""
        return not self.state.flights and self.plan.chunk(self.state.next, self.state.route) is None

    @property
    def context_bytes(self) -> int:
        """Bytes of kept keys and values over all branches."""
        return sum(context.bytes for context in self.state.contexts.values())

    @property
    def contexts(self) -> list[Context]:
        """All contexts that live as long as this session: those at work, and those that it could go back to."""
        return [context for state in (self.state, self.origin, *self._history) for context in state.contexts.values()]

    def _wanted(self, chunks: int | None, frames: int | None) -> int | None:
        if chunks is not None and frames is not None:
            raise UserError("give chunks or frames, not both")
        for name, count_ in (("chunks", chunks), ("frames", frames)):
            if count_ is not None and count_ < 1:
                raise UserError(f"{name} must be 1 or more, got {count_}")
        if frames is None:
            return chunks
        lead = 0 if self.state.codec else self.model.lead  # the first latent of a stream may stand for fewer frames
        return -(-(frames + lead) // self.model.frames_per_chunk) * self.model.regions

    # ---- what the loop calls -----------------------------------------------------------------------------

    def times(self, steps: int) -> tuple[float, ...]:
        return self.grid.times(steps)

    def noise(self, chunk: Chunk, steps: int, draw: int) -> Tensor:
        """The chunk's noise, as loud as ``steps`` want it; of the session's seed, the chunk and the draw alone."""
        noise = normal(chunk.shape, self.state.seed, chunk.index, draw).to(self.model.device)
        return noise * self.grid.scale(steps)

    def flight(self, index: int) -> Flight:
        return next(f for f in self.state.flights if f.chunk.index == index)

    def obey_reset(self) -> None:
        """Go back to the origin if a reset is queued; other queued controls, and the count of events, stay."""
        if "reset" in self.state.inbox:
            inbox, seq, clock = self.state.inbox, self.state.seq, self.state.clock
            self.state = self.origin.copy()
            self.state.obeyed = (inbox.pop("reset"),)
            self.state.inbox, self.state.seq, self.state.clock = inbox, seq, clock
            self._history.clear()

    def told(self, chunk: Chunk, conditions: dict[str, Tensor], branch: str) -> dict[str, Tensor]:
        """What the backbone is told of a chunk in a branch, the chunk before it included if it wants that."""
        told = {
            name: self.conditions[name].null(chunk) if self._drops(branch, name) else value
            for name, value in conditions.items()
        }
        if self.model.backbone.wants_previous:
            told["previous"], told["previous_time"] = self._previous(chunk)
        return told

    def _drops(self, branch: str, name: str) -> bool:
        return name in self.conditions and self.guidance.drops(branch, name)

    def _previous(self, chunk: Chunk) -> tuple[Tensor, Tensor]:
        before = chunk.index - 1
        if before in self.state.past:
            return self.state.past[before].clean, self.model.scalar(1.0)
        for flight in self.state.flights:
            if flight.chunk.index == before:
                return flight.state, self.model.scalar(self.times(flight.steps)[flight.level])
        return self.model.zeros(chunk.shape), self.model.scalar(0.0)

    def mark_history(self) -> None:
        """Note the state as it is now as one that ``rewind`` can go back to."""
        if self._history.maxlen:
            self._history.append(self.state.copy(with_rotated=False))
