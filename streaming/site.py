"""One running server: models, threads and the hub, put together. The web framework is not mentioned here."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping

from unreel.engine.model import Model
from unreel.streaming.backend import Notice
from unreel.streaming.config import ServerConfig
from unreel.streaming.hub import Hub
from unreel.streaming.jobs import Jobs
from unreel.streaming.media import open_encoder
from unreel.streaming.metrics import Metrics
from unreel.streaming.recording import Recordings
from unreel.streaming.studio import Open, Studio
from unreel.streaming.worker import Worker, info_of

TICK_S = 0.2
PRUNE_S = 60.0


class Site:
    """``await start()`` on the loop that will serve; ``await drain()`` before it ends. Neither twice."""

    def __init__(self, config: ServerConfig, models: Mapping[str, Model], encoders: Open = open_encoder) -> None:
        self.config, self.models = config, dict(models)
        self.clock = time.monotonic
        self.metrics = Metrics()
        self.recordings = Recordings(config.recordings, config.keep_s, config.keep_bytes)
        self.studio = Studio(self.recordings, self.deliver, encoders)
        self.workers = {
            name: Worker(model, config.limits, self.studio, self.deliver, config.lead_s)
            for name, model in self.models.items()
        }
        infos = {name: info_of(model).model_copy(update={"name": name}) for name, model in self.models.items()}
        self.hub = Hub(config, self.workers, infos, self.metrics)
        self.jobs = Jobs(self.hub, self.recordings, config)
        self.sockets = 0  # open websockets, counted by the shell
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ticker: asyncio.Task[None] | None = None

    def deliver(self, notice: Notice) -> None:
        """From any thread to the hub, in order."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is gone: nobody is left to be told
                self._loop.call_soon_threadsafe(self._deliver, notice)

    def _deliver(self, notice: Notice) -> None:
        self.hub.deliver(notice, self.clock())

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.recordings.start()
        self.studio.start()
        for worker in self.workers.values():
            worker.start()
        self._ticker = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        pruned = self.clock()
        while True:
            await asyncio.sleep(TICK_S)
            self.hub.tick(now := self.clock())
            if now - pruned > PRUNE_S:
                pruned = now
                self.recordings.prune()

    async def drain(self, grace_s: float = 3.0) -> None:
        """Say goodbye, finish what was generated and recorded, end the threads."""
        self.hub.shutdown(self.clock())
        deadline = self.clock() + grace_s
        while self.sockets and self.clock() < deadline:
            await asyncio.sleep(0.02)
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        await asyncio.to_thread(self._stop_threads)

    def _stop_threads(self) -> None:
        for worker in self.workers.values():
            worker.stop()
        self.studio.stop()
        self.recordings.stop()

    def gauges(self) -> None:
        """Set the figures that are looked up rather than counted."""
        hub, metrics = self.hub, self.metrics
        rooms = [room for room in hub.rooms.values() if room.began]
        metrics.sessions.set(len(rooms))
        metrics.queued.set(len(hub.queued))
        metrics.viewers.set(sum(len(room.viewers) for room in rooms))
        metrics.connections.set(self.sockets)
        metrics.shared.set(max(worker.batch.last_size for worker in self.workers.values()))
        metrics.context_bytes.set(sum(room.context_bytes for room in rooms))
