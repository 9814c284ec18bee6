"""One client, as a pure object: frames and time in, messages out. No sockets, no threads, no clock.

    new --configure--> waiting --configured--> owner     (configure again is an error: open another connection)
    new --resume-----> owner
    new --watch------> viewer
    any --error of its own making, end, shutdown--> closed

The shell calls ``receive`` with every frame, ``tick`` now and then and ``lost`` when the socket is gone; it sends
what ``out`` holds and closes the socket once ``out.closed``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from unreel.engine.errors import UserError
from unreel.streaming import protocol as p
from unreel.streaming.outbox import Outbox
from unreel.streaming.viewer import Viewer

if TYPE_CHECKING:
    from unreel.streaming.config import ServerConfig
    from unreel.streaming.hub import Hub
    from unreel.streaming.room import Room

ERROR_MESSAGES = 300  # characters of an error text that reach a client


class Bucket:
    """So many messages per second, with bursts."""

    def __init__(self, rate: float, burst: int, now: float) -> None:
        self.rate, self.burst = rate, burst
        self.level, self.at = float(burst), now

    def take(self, now: float) -> bool:
        self.level = min(self.burst, self.level + max(0.0, now - self.at) * self.rate)
        self.at = now
        if self.level < 1:
            return False
        self.level -= 1
        return True

    def give_back(self) -> None:
        """The last message is not counted."""
        self.level = min(self.burst, self.level + 1)


class Connection:
    """See the module. ``room`` and ``viewer`` are set by the hub."""

    def __init__(self, hub: Hub, config: ServerConfig, now: float) -> None:
        self.hub, self.config = hub, config
        self.out = Outbox()
        self.room: Room | None = None
        self.viewer: Viewer | None = None
        self.wish: p.Configure | None = None  # what it configured, while it waits for a place
        self.born = now
        self.mistakes = 0
        self.bucket = Bucket(config.messages_per_s, config.burst, now)
        self.stats_at = now

    @property
    def state(self) -> str:
        if self.out.closed:
            return "closed"
        if self.viewer is not None and self.room is not None:
            return "owner" if self.room.owner is self.viewer else "viewer"
        return "waiting" if self.room is not None else "new"

    # ---- what the shell calls ------------------------------------------------------------------------------

    def receive(self, data: str | bytes, now: float) -> None:
        """A frame from the client. Never raises; what is wrong with it goes into ``out``."""
        if self.out.closed:
            return
        if not self.bucket.take(now):
            self.fail("too_fast", f"more than {self.config.messages_per_s:g} messages a second", close=True)
            return
        if isinstance(data, bytes):
            self.mistake("invalid", "this protocol has no binary frames from the client")
            return
        if len(data) > self.config.message_bytes:
            self.fail("too_large", f"a message has at most {self.config.message_bytes} characters", close=True)
            return
        try:
            message = p.parse_client(data)
        except UserError as error:
            self.mistake("invalid", str(error))
            return
        getattr(self, f"_on_{message.type}")(message, now)

    def tick(self, now: float) -> None:
        """Time has passed: greet late, stall, overflow and figures are dealt with here."""
        if self.out.closed:
            return
        if self.room is None and now - self.born > self.config.hello_s:
            self.close("timeout", f"nothing was configured within {self.config.hello_s:g} s")
        elif self.out.overflow:
            self.hub.leave(self, now)
            self.close("slow", "too many messages wait to be read", kept=True)
        elif self.viewer is not None and self.room is not None:
            viewer = self.viewer
            if not viewer.owed:
                viewer.heard = now
            if now - viewer.heard > self.config.stall_s:
                self.hub.leave(self, now)
                self.close("slow", f"no ack for {self.config.stall_s:g} s", kept=True)
            elif now - self.stats_at >= 1.0:
                self.stats_at = now
                self.out.put(self.hub.stats(self.room, viewer, now), latest="stats")

    def lost(self, now: float) -> None:
        """The socket is gone. A session of its own is kept for a while."""
        self.hub.leave(self, now)
        self.out.close()

    # ---- what the hub calls --------------------------------------------------------------------------------

    def fail(self, code: Any, message: str, *, close: bool = False, retry_after_s: float | None = None) -> None:
        """Tell the client what went wrong; with ``close`` that was the end."""
        retryable = retry_after_s is not None or code in ("full", "too_fast")
        self.out.put(
            p.Error(code=code, message=message[:ERROR_MESSAGES], retryable=retryable, retry_after_s=retry_after_s)
        )
        if close:
            self.close("full" if code == "full" else "protocol", message[:ERROR_MESSAGES])

    def mistake(self, code: Any, message: str) -> None:
        """An error of the client's making; after too many of them it has to go."""
        self.mistakes += 1
        self.fail(code, message, close=self.mistakes > self.config.mistakes)

    def close(self, reason: Any, message: str = "", *, kept: bool = False) -> None:
        """Say goodbye; the shell closes the socket once that is out."""
        self.out.close(p.Closing(reason=reason, message=message, session_kept=kept))

    # ---- one method per message ----------------------------------------------------------------------------

    def _on_configure(self, message: p.Configure, now: float) -> None:
        if self._fresh("configure"):
            self.hub.configure(self, message, now)

    def _on_resume(self, message: p.Resume, now: float) -> None:
        if self._fresh("resume"):
            self.hub.resume(self, message, now)

    def _on_watch(self, message: p.Watch, now: float) -> None:
        if self._fresh("watch"):
            self.hub.watch(self, message, now)

    def _on_control(self, message: p.Control, now: float) -> None:
        if self._owner("control"):
            assert self.room is not None, "an owner has a room"
            self.hub.control(self.room, message)

    def _on_ack(self, message: p.Ack, now: float) -> None:
        if self.viewer is None or self.room is None:
            self.mistake("state", "ack: nothing was sent yet")
        elif message.seq >= self.room.next_seq:
            self.mistake("bad_request", f"ack: chunk {message.seq} was not made yet")
        else:
            if self.room.ack(self.viewer, message.seq, now):
                self.bucket.give_back()  # there are no more of these than chunks that were sent
            if self.state == "owner":
                self.room.backend.touch(self.room.id)

    def _on_ping(self, message: p.Ping, now: float) -> None:
        self.out.put(p.Pong(t=message.t), latest="pong")

    def _on_end(self, message: p.End, now: float) -> None:
        if self.state == "waiting" or self._owner("end"):
            assert self.room is not None, "it has a room in these states"
            self.hub.end(self.room, "ended", "the owner ended the session", now)

    def _fresh(self, what: str) -> bool:
        if self.room is None:
            return True
        self.mistake("state", f"{what}: this connection has a session; open another connection")
        return False

    def _owner(self, what: str) -> bool:
        if self.state == "owner":
            return True
        states = {"new": "configure first", "waiting": "wait for configured", "viewer": "viewers may only look"}
        self.mistake("forbidden" if self.state == "viewer" else "state", f"{what}: {states[self.state]}")
        return False
