"""All rooms of a server: who opens, resumes and watches which, and what the engine says to whom. Pure."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from unreel.engine.errors import UserError
from unreel.streaming import protocol as p
from unreel.streaming.backend import (
    Backend,
    Began,
    Ended,
    Made,
    Notice,
    Position,
    Receipt,
    Refused,
    Start,
    Still,
)
from unreel.streaming.config import ServerConfig
from unreel.streaming.connection import Connection
from unreel.streaming.metrics import Metrics
from unreel.streaming.present import Manner, manner
from unreel.streaming.room import Room
from unreel.streaming.viewer import Viewer
from unreel.streaming.views import Views
from unreel.streaming.wishes import first_controls, options_of, shape_of

KEYS = 4096  # sessions that are over whose recordings can still be asked for


class Hub:
    """``backends`` and ``infos`` by model name; the first is the default. ``listeners`` get foreign ids' notices."""

    def __init__(
        self,
        config: ServerConfig,
        backends: Mapping[str, Backend],
        infos: Mapping[str, p.ModelInfo],
        metrics: Metrics | None = None,
        secret: Callable[[], str] = lambda: secrets.token_urlsafe(16),
    ) -> None:
        self.config, self.backends, self.infos = config, dict(backends), dict(infos)
        self.metrics = metrics or Metrics()
        self.secret, self.views = secret, Views(secret)
        self.rooms: dict[str, Room] = {}
        self.watches: dict[str, Room] = {}
        self.connections: set[Connection] = set()
        self.listeners: dict[str, Callable[[Notice], None]] = {}
        self.keys: dict[str, str] = {}  # of sessions that are over, for their recordings
        self.queued: dict[str, int] = {}
        self.forks: dict[str, tuple[Room, str]] = {}
        self.draining = False

    # ---- connections -----------------------------------------------------------------------------------------

    def connect(self, now: float) -> Connection:
        """A new client. It is refused at once, with a reason, where there is no room for it."""
        connection = Connection(self, self.config, now)
        if self.draining:
            connection.close("shutdown", "the server is going down")
        elif len(self.connections) >= self.config.connections:
            connection.fail("full", "too many connections", close=True, retry_after_s=5.0)
        self.connections.add(connection)
        return connection

    def leave(self, connection: Connection, now: float) -> None:
        """A connection is over; its room lives on for a while."""
        self.connections.discard(connection)
        room, viewer = connection.room, connection.viewer
        connection.viewer = None
        if room is None:
            return
        if viewer is not None:
            room.leave(viewer, now)
        elif not room.began and not any(c.room is room for c in self.connections):
            self.end(room, "ended", "", now)  # left the queue

    def configure(self, connection: Connection, wish: p.Configure, now: float) -> None:
        name = wish.model or next(iter(self.backends))
        if name not in self.backends:
            connection.fail("unknown_model", f"models here: {', '.join(self.backends)}; got {name}", close=True)
            return
        info = self.infos[name]
        if not self._sends(connection, manner(info.modality), wish):
            return
        if wish.preset is not None and wish.preset not in info.presets:
            known = ", ".join(info.presets) or "none"
            connection.fail("bad_request", f"presets of {name}: {known}; got {wish.preset}", close=True)
            return
        try:
            controls = first_controls(info, self.views, wish.place, wish.view)
            shape = shape_of(info, self.views, wish.mesh)
        except UserError as error:
            connection.fail("bad_request", str(error), close=True)
            return
        room = self.room(name, now)
        room.record = wish.record and self.config.record
        connection.room, connection.wish = room, wish
        period = info.frames_per_chunk / info.fps if wish.pace == "realtime" else 0.0
        start = Start(options_of(wish), period, room.record, wish.prompt, controls, shape)
        self.backends[name].open(room.id, start)

    def _sends(self, connection: Connection, kind: Manner, wish: p.Configure | p.Resume | p.Watch) -> bool:
        """Whether there is a format for this client; it is told where there is none."""
        if any(format in kind.formats for format in wish.formats):
            return True
        connection.fail("bad_request", f"formats here: {', '.join(kind.formats)}", close=True)
        return False

    def resume(self, connection: Connection, wish: p.Resume, now: float) -> None:
        room = self.rooms.get(wish.session)
        known = room.key if room is not None else "no such session"
        if not hmac.compare_digest(known.encode(), wish.key.encode()) or room is None or not room.began:
            connection.fail("unknown_session", "no session with this name and key (it may be over)", close=True)
            return
        if not self._sends(connection, room.manner, wish):
            return
        for other in [c for c in self.connections if c.viewer is not None and c.viewer is room.owner]:
            self.leave(other, now)
            other.close("replaced", "the session was resumed by another connection")
        self._seat(connection, room, wish, now, owner=True)

    def watch(self, connection: Connection, wish: p.Watch, now: float) -> None:
        room = self.watches.get(wish.token)
        if room is None or not room.began:
            connection.fail("unknown_session", "no session with this watch token (it may be over)", close=True)
        elif len(room.viewers) >= self.config.viewers:
            connection.fail("full", f"the session has {len(room.viewers)} viewers", close=True, retry_after_s=5.0)
        elif self._sends(connection, room.manner, wish):
            self._seat(connection, room, wish, now, owner=False)

    def control(self, room: Room, message: p.Control) -> None:
        room.backend.touch(room.id)
        if message.kind == "fork":
            if not room.manner.forks:
                reason = f"{room.model.name} has no forks: start another session"
                room.receipt(Receipt(room.id, message.id, "fork", "rejected", reason=reason))
                return
            if sum(other.parent == room.id for other in self.rooms.values()) >= self.config.forks:
                reason = f"{self.config.forks} forks of this session are alive"
                room.receipt(Receipt(room.id, message.id, "fork", "rejected", reason=reason))
                return
            fork = self.room(room.model.name, 0.0)
            fork.record, fork.parent, fork.orphan_since = room.record, room.id, None
            self.forks[fork.id] = (room, message.id)
            room.backend.fork(room.id, message.id, fork.id, fork.record)
            return
        value: Any = message.value.model_dump() if isinstance(message.value, p.Curve) else message.value
        if message.kind == "view":
            try:
                value = self.views.get(value, room.model.name)
            except UserError as error:
                room.receipt(Receipt(room.id, message.id, "view", "rejected", reason=str(error)))
                return
        room.backend.control(room.id, message.id, message.kind, value)

    # ---- rooms -------------------------------------------------------------------------------------------------

    def room(self, model: str, now: float) -> Room:
        """A new room with names nobody can guess."""
        room = Room(
            self.secret(), self.secret(), self.secret(), self.infos[model], self.backends[model], self.config, now
        )
        self.rooms[room.id] = room
        self.watches[room.watch] = room
        return room

    def end(self, room: Room, reason: str, message: str, now: float, *, code: str = "") -> None:
        """A session is over: everybody hears why, its place is free, its recording stays."""
        if self.rooms.pop(room.id, None) is None:
            return
        self.watches.pop(room.watch, None)
        self.queued.pop(room.id, None)
        if room.record:
            self.keys[room.id] = room.key
            while len(self.keys) > KEYS:
                self.keys.pop(next(iter(self.keys)))
        room.ended = True
        room.backend.close(room.id)
        for connection in [c for c in self.connections if c.room is room]:
            self.connections.discard(connection)
            connection.viewer = None
            if code:
                connection.fail(code, message)
            connection.close(reason, message)
        room.viewers.clear()
        room.owner = None

    def recording_key(self, id: str) -> str | None:
        """The key that opens the recording of a session, running or over."""
        return self.rooms[id].key if id in self.rooms else self.keys.get(id)

    def stats(self, room: Room, viewer: Viewer, now: float) -> p.Stats:
        running = sum(1 for r in self.rooms.values() if r.began and r.model.name == room.model.name)
        return room.stats(viewer, now, running, len(self.queued))

    def tick(self, now: float) -> None:
        """Now and then: clients that stall, sessions nobody came back to, formats nobody needs."""
        for connection in list(self.connections):
            connection.tick(now)
        for room in list(self.rooms.values()):
            if room.began and room.orphan_since is not None and now - room.orphan_since > self.config.resume_s:
                self.end(room, "idle", "nobody was there", now)
            else:
                room.forget_formats()

    def shutdown(self, now: float) -> None:
        """Say goodbye to everybody. Recordings are finished by the backends."""
        self.draining = True
        for room in list(self.rooms.values()):
            self.end(room, "shutdown", "the server is going down", now)
        for connection in list(self.connections):
            connection.close("shutdown", "the server is going down")

    # ---- what the engine says ------------------------------------------------------------------------------------

    def deliver(self, notice: Notice, now: float) -> None:
        """A notice of a backend, on the loop's thread."""
        room = self.rooms.get(notice.id)
        self.metrics.notice(notice)
        if room is None:
            if notice.id in self.listeners:
                self.listeners[notice.id](notice)
            return
        if isinstance(notice, Made):
            room.publish(notice, now)
        elif isinstance(notice, Receipt):
            room.receipt(notice)
        elif isinstance(notice, Still):
            room.still(notice.format, notice.packet)
        elif isinstance(notice, Position):
            self._queued(room, notice)
        elif isinstance(notice, Refused):
            self._refused(room, notice, now)
        elif isinstance(notice, Began):
            self._began(room, notice, now)
        elif isinstance(notice, Ended):
            code = {"failed": "failed", "encoder": "encoder"}.get(notice.why, "")
            reason = notice.why if notice.why in ("finished", "idle", "lifetime") else "failed"
            self.end(room, reason, notice.message, now, code=code)

    def _queued(self, room: Room, notice: Position) -> None:
        self.queued[room.id] = notice.position
        for connection in self.connections:
            if connection.room is room:
                queued = p.Queued(position=notice.position, retry_after_s=round(notice.retry_after_s, 1))
                connection.out.put(queued, latest="queued")

    def _refused(self, room: Room, notice: Refused, now: float) -> None:
        if room.id in self.forks:
            parent, control = self.forks.pop(room.id)
            parent.receipt(Receipt(parent.id, control, "fork", "rejected", reason=notice.message))
        for connection in [c for c in self.connections if c.room is room]:
            code = notice.code if notice.retry_after_s is None else "full"
            connection.fail(code, notice.message, close=True, retry_after_s=notice.retry_after_s)
        self.end(room, "failed", "", now)

    def _began(self, room: Room, notice: Began, now: float) -> None:
        self.queued.pop(room.id, None)
        room.began, room.next_seq, room.paused = True, notice.seq, notice.paused
        room.orphan_since = now
        if room.id in self.forks:
            parent, control = self.forks.pop(room.id)
            if parent.owner is not None:
                parent.owner.out.put(
                    p.Forked(id=control, session=room.id, key=room.key, watch=room.watch, resume_s=self.config.resume_s)
                )
        for connection in [c for c in self.connections if c.room is room and c.wish is not None]:
            assert connection.wish is not None, "filtered above"
            self._seat(connection, room, connection.wish, now, owner=True)

    def _seat(self, connection: Connection, room: Room, wish: Any, now: float, *, owner: bool) -> None:
        config = self.config
        format = next(f for f in wish.formats if f in room.manner.formats)
        window, lag, _ = room.manner.flow(format, min(wish.window, config.window), config.lag, config.ring)
        viewer = Viewer(connection.out, format, window, config.window_bytes, lag, now)
        connection.room, connection.viewer = room, viewer
        if owner:
            room.owner = viewer
        connection.out.put(
            p.Configured(
                role="owner" if owner else "viewer",
                session=room.id,
                key=room.key if owner else None,
                watch=room.watch,
                model=room.model,
                window=window,
                resume_s=config.resume_s,
                paused=room.paused,
                recording=f"/v1/sessions/{room.id}/recording{room.manner.suffix}" if owner and room.record else None,
            )  # fmt: skip
        )
        room.join(viewer, getattr(wish, "last_seq", None), now)
