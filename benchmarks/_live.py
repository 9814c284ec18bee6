"""A server in a process of its own and bare clients, for the serving benchmarks. Loopback only."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import quantiles
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from unreel.engine.errors import UserError
from unreel.streaming import protocol as p


class ServerProcess:
    """``unreel serve`` on a free port; ``rss`` is what it holds, ``stop`` sends SIGTERM and waits."""

    def __init__(self, model: str, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        command = [sys.executable, "-m", "unreel", "serve", "--model", model, "--port", str(self.port), *options]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=None)
        self.url = f"ws://127.0.0.1:{self.port}/v1/stream"

    def __enter__(self) -> ServerProcess:
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None:
                    raise UserError(f"the server ended with {self.process.returncode} before it listened") from None
                time.sleep(0.1)
        raise UserError("the server did not listen within two minutes")

    def __exit__(self, *_: object) -> None:
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    @property
    def rss(self) -> int:
        """Resident bytes of the server's process."""
        text = Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        return next(int(line.split()[1]) for line in text.splitlines() if line.startswith("VmRSS")) * 1024

    @property
    def fds(self) -> int:
        """Open file descriptors of the server's process."""
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))


@dataclass
class Client:
    """A websocket that takes chunks as they come and decodes nothing. ``at`` is when the last binary arrived."""

    socket: ClientConnection
    configured: p.Configured | None = None
    at: float = 0.0
    dropped: int = 0
    controls: dict[str, float] = field(default_factory=dict)

    async def chunk(self, ack: bool = True) -> p.Chunk:
        """The next chunk's header, once its bytes are here."""
        header: p.Chunk | None = None
        while True:
            data = await self.socket.recv()
            if isinstance(data, bytes):
                if header is None:
                    continue  # an init segment
                self.at = time.perf_counter()
                if ack:
                    await self.socket.send(f'{{"type":"ack","seq":{header.seq}}}')
                return header
            message = p.parse_server(data)
            if isinstance(message, p.Chunk):
                header = message
            elif isinstance(message, p.Configured):
                self.configured = message
            elif isinstance(message, p.Stats):
                self.dropped = message.dropped
            elif isinstance(message, p.Error | p.Closing):
                raise UserError(f"the server said: {message}")

    async def control(self, id: str, kind: str, value: Any = None) -> None:
        await self.socket.send(p.Control(id=id, kind=kind, value=value).model_dump_json())  # type: ignore[arg-type]


@asynccontextmanager
async def client(url: str, hello: p.Message) -> AsyncIterator[Client]:
    """A client that has said hello; its session ends with the block."""
    subprotocols: Any = [p.VERSION]
    async with connect(url, subprotocols=subprotocols, compression=None, max_size=None, proxy=None) as socket:
        await socket.send(hello.model_dump_json())
        made = Client(socket)
        try:
            yield made
        finally:
            if isinstance(hello, p.Configure):
                await socket.send(p.End().model_dump_json())


def percentiles(values: list[float]) -> dict[str, float]:
    """p50, p95 and the extremes, in the values' own unit."""
    cuts = quantiles(values, n=20, method="inclusive") if len(values) > 1 else values * 19
    numbers = {"p50": cuts[9], "p95": cuts[18], "min": min(values), "max": max(values), "n": len(values)}
    return {name: round(value, 5) for name, value in numbers.items()}


async def control_latencies(url: str, count: int, format: str = "h264") -> tuple[list[float], float]:
    """Seconds from sending a key to the arrival of the first chunk that obeys it, sent at random moments."""
    rng, found = random.Random(7), []
    async with client(url, p.Configure(formats=[format], seed=7)) as live:  # type: ignore[list-item]
        await live.chunk()
        assert live.configured is not None, "a chunk comes after configured"
        model = live.configured.model
        period = model.frames_per_chunk / model.fps
        keys = [key for key in model.actions if key != "none"] or ["none"]
        for number in range(count):
            until = time.perf_counter() + rng.uniform(1.5, 3.5) * period
            while (left := until - time.perf_counter()) > 0:
                try:
                    await asyncio.wait_for(live.chunk(), left)
                except TimeoutError:
                    break
            sent = time.perf_counter()
            await live.control(f"b{number}", "action", keys[number % len(keys)])
            while f"b{number}" not in (await live.chunk()).applied:
                pass
            found.append(live.at - sent)
    return found, period
