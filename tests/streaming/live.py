"""A real server on a port of its own, in a thread, and ways to count what it holds."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any

from unreel.engine.batch import Limits
from unreel.engine.model import Model
from unreel.streaming.client import Connect, connect
from unreel.streaming.config import ServerConfig
from unreel.streaming.server import listen, make_server


class LiveServer:
    """``with LiveServer(model, resume_s=1) as server``: fields of ``ServerConfig`` as keyword arguments.

    One model is called ``fake``; of several, by name, ``worker`` is the first's.
    """

    def __init__(self, model: Model | dict[str, Model], parts: dict[str, Any] | None = None, **changes: Any) -> None:
        models = model if isinstance(model, dict) else {"fake": model}
        limits = changes.pop("limits", None) or Limits()
        self.socket = listen("127.0.0.1", 0)
        self.port = self.socket.getsockname()[1]
        self.server = make_server(ServerConfig(limits=limits, **changes), models, **(parts or {}))
        self.site, self.hub = self.server.site, self.server.site.hub
        self.worker = self.site.workers[next(iter(models))]
        self.thread = threading.Thread(target=self._run)

    def _run(self) -> None:
        asyncio.run(self.server.serve(sockets=[self.socket]))

    def __enter__(self) -> LiveServer:
        self.thread.start()
        until(lambda: self.server.started)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.server.should_exit = True
        self.thread.join(20)
        self.socket.close()
        assert not self.thread.is_alive(), "the server did not end"

    @property
    def http(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self, **options: Any) -> Connect:
        return connect(f"ws://127.0.0.1:{self.port}", **options)

    def tasks(self) -> int:
        """Tasks on the server's loop."""
        loop = self.site._loop
        assert loop is not None
        done: list[int] = []
        loop.call_soon_threadsafe(lambda: done.append(len(asyncio.all_tasks(loop))))
        until(lambda: bool(done))
        return done[0]

    def held(self) -> dict[str, int]:
        """Everything that must go back to what it was."""
        gc.collect()
        return {
            "rooms": len(self.hub.rooms), "watches": len(self.hub.watches), "connections": len(self.hub.connections),
            "sockets": self.site.sockets, "seats": len(self.worker.seats), "running": len(self.worker.batch.running),
            "desks": len(self.site.studio.desks), "queued": len(self.hub.queued), "forks": len(self.hub.forks),
            "tasks": self.tasks(), "threads": threading.active_count(), "fds": len(os.listdir("/proc/self/fd")),
        }  # fmt: skip


def until(true: Callable[[], bool], seconds: float = 10.0) -> None:
    """Wait for something another thread does."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def settled(value: Callable[[], int], still: float = 0.5) -> int:
    """What ``value`` tells once it has not changed for ``still`` seconds: a step that had begun may yet end."""
    seen, since = value(), time.monotonic()
    while time.monotonic() - since < still:
        if value() != seen:
            seen, since = value(), time.monotonic()
        time.sleep(0.005)
    return seen
