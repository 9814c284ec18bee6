"""What waits to be sent to one client. Bounded: state messages replace each other, chunks are counted by credit."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from unreel.streaming.protocol import Message

MOST = 512  # messages; a client that lets this many pile up is not reading


class Outbox:
    """Filled by the pure side, drained by the shell. ``latest`` keys replace a waiting message of the same key."""

    def __init__(self) -> None:
        self.items: deque[tuple[Message, bytes | None, str]] = deque()
        self.notify: Callable[[], None] = lambda: None
        self.closed = False  # nothing more will come: send what waits, then close
        self.overflow = False

    def put(self, message: Message, binary: bytes | None = None, latest: str = "") -> None:
        if self.closed:
            return
        if latest:
            for index, (_, _, key) in enumerate(self.items):
                if key == latest:
                    self.items[index] = (message, binary, latest)
                    return
        if len(self.items) >= MOST:
            self.overflow = True
        else:
            self.items.append((message, binary, latest))
        self.notify()

    def close(self, last: Message | None = None) -> None:
        """No more messages; ``last`` goes out whatever waits."""
        if not self.closed:
            self.closed = True
            if last is not None:
                self.items.append((last, None, ""))
            self.notify()

    def take(self) -> tuple[Message, bytes | None] | None:
        """The next message and its binary, or None when nothing waits."""
        if not self.items:
            return None
        message, binary, _ = self.items.popleft()
        return message, binary
