"""The one place where bytes move: a websocket on one side, a ``Connection`` on the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

from starlette.responses import PlainTextResponse
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from unreel.streaming import protocol as p
from unreel.streaming.access import has_token, origin_fault
from unreel.streaming.connection import Connection
from unreel.streaming.site import Site

GRACE_S = 3.0  # seconds a client has to take what waits and to answer the closing handshake
CODES = {"protocol": 1002, "slow": 1008, "timeout": 1008, "full": 1013, "shutdown": 1001, "failed": 1011}


async def serve_socket(socket: WebSocket, site: Site) -> None:
    """Serve one websocket from handshake to goodbye."""
    fault = None if has_token(site.config, socket.headers, socket.url.query) else (401, "wrong or missing token")
    if fault is None and (why := origin_fault(site.config, socket.headers)):
        fault = (403, why)
    if fault is not None:
        await socket.send_denial_response(PlainTextResponse(fault[1], fault[0]))
        return
    offered = socket.scope.get("subprotocols", [])
    if p.VERSION not in offered:
        await _other_version(socket, offered)
        return
    await socket.accept(subprotocol=p.VERSION)
    site.sockets += 1
    connection = site.hub.connect(site.clock())
    try:
        await _exchange(socket, connection, site)
    finally:
        connection.lost(site.clock())
        site.sockets -= 1


async def watch_film(site: Site, token: str) -> AsyncIterator[bytes]:
    """A session as one endless MP4, for players. Written bytes are the acks: a player that is slow falls behind."""
    wake, connection = asyncio.Event(), site.hub.connect(site.clock())
    connection.out.notify = wake.set
    site.sockets += 1
    try:
        connection.receive(p.Watch(token=token, formats=["fmp4"], window=4).model_dump_json(), site.clock())
        while not (connection.out.closed and not connection.out.items):
            item = connection.out.take()
            if item is None:
                wake.clear()
                await wake.wait()
                continue
            message, binary = item
            if binary is not None:
                yield binary
            if isinstance(message, p.Chunk):
                connection.receive(p.Ack(seq=message.seq).model_dump_json(), site.clock())
    finally:
        connection.lost(site.clock())
        site.sockets -= 1


async def _other_version(socket: WebSocket, offered: list[str]) -> None:
    """Browsers only read on when one of their subprotocols is chosen, so choose it, say what is wrong and close."""
    await socket.accept(subprotocol=offered[0] if offered else None)
    spoken = ", ".join(offered)[:100] or "none"
    message = f"this server speaks {p.VERSION}, the client offers {spoken}"
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        await socket.send_text(p.Error(code="version", message=message).model_dump_json())
        await socket.close(1002, message[:120])


async def _exchange(socket: WebSocket, connection: Connection, site: Site) -> None:
    loop, wake, out = asyncio.get_running_loop(), asyncio.Event(), connection.out
    abort: Callable[[], None] = socket.scope.get("unreel.abort", lambda: None)
    timer: list[asyncio.TimerHandle] = []

    def notify() -> None:
        wake.set()
        if out.closed and not timer:
            timer.append(loop.call_later(GRACE_S, abort))

    out.notify = notify
    notify()
    reader = asyncio.create_task(_read(socket, connection, site))
    writer = asyncio.create_task(_write(socket, connection, wake))
    try:
        await asyncio.wait({reader, writer}, return_when=asyncio.FIRST_COMPLETED)
        if reader.done():
            connection.lost(site.clock())
        await asyncio.wait({writer}, timeout=GRACE_S)
        if writer.done() and not reader.done():  # the goodbye is out: wait for the client's
            await asyncio.wait({reader}, timeout=GRACE_S)
        if not (reader.done() and writer.done()):
            abort()
    finally:
        for task in (reader, writer):
            task.cancel()
        await asyncio.gather(reader, writer, return_exceptions=True)
        for handle in timer:
            handle.cancel()


async def _read(socket: WebSocket, connection: Connection, site: Site) -> None:
    while True:
        message = await socket.receive()
        if message["type"] == "websocket.disconnect":
            return
        text, data = message.get("text"), message.get("bytes")
        connection.receive(text if text is not None else data or b"", site.clock())


async def _write(socket: WebSocket, connection: Connection, wake: asyncio.Event) -> None:
    """Send what waits, as fast as the socket takes it; close after the last message."""
    out, code = connection.out, 1000
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            item = out.take()
            if item is None:
                if out.closed:
                    break
                wake.clear()
                await wake.wait()
                continue
            message, binary = item
            await socket.send_text(message.model_dump_json())
            if binary is not None:
                await socket.send_bytes(binary)
            if isinstance(message, p.Closing):
                code = CODES.get(message.reason, 1000)
        if socket.application_state is WebSocketState.CONNECTED:
            await socket.close(code)
