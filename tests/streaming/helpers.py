"""A backend that records what it is asked, and small makers for the pure tests."""

from __future__ import annotations

from itertools import count
from typing import Any

from unreel.streaming import protocol as p
from unreel.streaming.backend import Began, Made, Packet, Start
from unreel.streaming.config import ServerConfig
from unreel.streaming.connection import Connection
from unreel.streaming.hub import Hub

TIMING = p.Timing(model_ms=1, decode_ms=0, encode_ms=0, total_ms=2)
INFO = p.ModelInfo(
    name="fake", description="", actions=["none", "w"], controls=["action"], presets=["fast"], steps=4, fps=10,
    width=8, height=8, frames_per_chunk=2, start_clips=0,
)  # fmt: skip


class FakeBackend:
    """Remembers every request as (name, arguments)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, tuple[Any, ...]]] = []

    def __getattr__(self, name: str) -> Any:
        return lambda *a, **k: self.asked.append((name, (*a, *k.values())))

    def last(self, name: str) -> tuple[Any, ...] | None:
        return next((args for n, args in reversed(self.asked) if n == name), None)

    def count(self, name: str) -> int:
        return sum(n == name for n, _ in self.asked)

    def started(self) -> Start:
        args = self.last("open")
        assert args is not None
        start: Start = args[1]
        return start


def make_hub(**changes: Any) -> tuple[Hub, FakeBackend]:
    backend, numbers = FakeBackend(), count()
    hub = Hub(ServerConfig(**changes), {"fake": backend}, {"fake": INFO}, secret=lambda: f"secret-{next(numbers):03d}")
    return hub, backend


def packet(
    seq: int, *, format: str = "jpeg", key: bool = True, size: int = 10, applied: tuple[str, ...] = ()
) -> Packet:
    media = p.Media(format=format, mime="x", width=8, height=8, fps=10)  # type: ignore[arg-type]
    data = bytes([seq % 256]) * size
    return Packet(seq, seq, 2, key, data, (size // 2, size - size // 2), applied, TIMING, (media, b""))


def made(id: str, seq: int, *packets: Packet, applied: tuple[tuple[str, str], ...] = ()) -> Made:
    return Made(id, seq, seq, 2, applied, TIMING, {one.media[0].format: one for one in packets})


def say(connection: Connection, message: p.Message, now: float = 0.0) -> None:
    connection.receive(message.model_dump_json(), now)


def heard(connection: Connection) -> list[p.Message]:
    """Everything waiting in the outbox, taken."""
    messages = []
    while (item := connection.out.take()) is not None:
        messages.append(item[0])
    return messages


def kinds(connection: Connection) -> list[str]:
    return [m.type for m in heard(connection)]  # type: ignore[attr-defined]


def running(hub: Hub, now: float = 0.0, **wish: Any) -> Connection:
    """A connection whose session has its place; its outbox is empty."""
    connection = hub.connect(now)
    say(connection, p.Configure(formats=["jpeg"], **wish), now)
    assert connection.room is not None
    hub.deliver(Began(connection.room.id), now)
    heard(connection)
    return connection
