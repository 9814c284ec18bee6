"""uvicorn, with three things added: small send buffers, a way to cut a dead client off, a goodbye before the end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.streaming.app import create_app
from unreel.streaming.config import ServerConfig
from unreel.streaming.site import Site

log = logging.getLogger("unreel.streaming")
NOTSENT = 64 * 1024  # bytes the kernel takes before it says "full": credit by acks works above this


class SocketProtocol(WebSocketsSansIOProtocol):
    """Tells the application how to abort: closing alone waits for ever on a client that does not read."""

    def handle_connect(self, event: Any) -> None:
        self.transport.set_write_buffer_limits(high=NOTSENT)
        super().handle_connect(event)
        scope: Any = getattr(self, "scope", None)
        if scope is not None:
            scope["unreel.abort"] = self.transport.abort

    def keepalive_timeout(self) -> None:
        super().keepalive_timeout()
        self.transport.abort()


class Server(uvicorn.Server):
    """``site`` is drained after SIGTERM or SIGINT, before the sockets are closed."""

    def __init__(self, config: uvicorn.Config, site: Site) -> None:
        super().__init__(config)
        self.site = site

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for listener in self.servers:
            listener.close()
        await self.site.drain()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Both signals end the server politely, and the process then goes on; a second one is not waited for."""
        with contextlib.ExitStack() as stack:
            for number in (signal.SIGTERM, signal.SIGINT):
                with contextlib.suppress(ValueError):  # not in the main thread: whoever started it stops it
                    before = signal.signal(number, self.handle_exit)
                    stack.callback(signal.signal, number, before)
            yield


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; what is accepted from it keeps little unsent data.

    Raises:
        UserError: the address is taken or not this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if hasattr(socket, "TCP_NOTSENT_LOWAT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, NOTSENT)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        sock.bind((host, port))
        sock.listen(256)
    except OSError as error:
        sock.close()
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}; choose another --port") from None
    sock.setblocking(False)
    return sock


def make_server(config: ServerConfig, models: Mapping[str, Model], **parts: Any) -> Server:
    """A server that is ready to ``run(sockets=[listen(...)])``."""
    site = Site(config, models, **parts)
    settings = uvicorn.Config(
        create_app(site), host=config.host, port=config.port, ws=SocketProtocol, ws_max_size=config.message_bytes,
        ws_ping_interval=config.ping_s, ws_ping_timeout=config.ping_s, ws_per_message_deflate=False,
        log_level="warning", access_log=False, lifespan="on", server_header=False,
        timeout_graceful_shutdown=5, limit_concurrency=1024,
        h11_max_incomplete_event_size=16_384,
    )  # fmt: skip
    return Server(settings, site)


def serve(config: ServerConfig, models: Mapping[str, Model]) -> None:
    """Serve until SIGTERM or SIGINT, then drain. Blocks."""
    sock = listen(config.host, config.port)
    server = make_server(config, models)
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(server.serve(sockets=[sock]))
