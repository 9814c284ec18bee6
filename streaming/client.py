"""A client for programs, blocking or async: what the server sends becomes chunks of frames.

    with unreel.connect("ws://127.0.0.1:8765", seed=7) as live:
        live.send("action", "w")
        for chunk in live.chunks(30):
            show(chunk.frames)                      # uint8 (T, H, W, 3)

``async with`` and ``async for`` do the same. A lost connection is resumed once per chunk received.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, suppress
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection as AsyncSocket
from websockets.asyncio.client import connect as connect_async
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.sync.client import ClientConnection as SyncSocket
from websockets.sync.client import connect as connect_sync

from unreel.engine.errors import UserError
from unreel.streaming import protocol as p
from unreel.streaming.dialogue import Dialogue, LiveChunk

LARGEST = 256 * 1024 * 1024  # bytes of one message from the server


class Connect:
    """What ``connect`` returns: enter it with ``with`` or ``async with``."""

    def __init__(self, url: str, hello: p.Configure | p.Watch | p.Resume, token: str | None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("ws", "wss"):
            raise UserError(f"connect takes a ws:// or wss:// address, got {url!r}")
        path = parts.path if parts.path not in ("", "/") else "/v1/stream"
        self.url = urlunsplit((parts.scheme, parts.netloc, path, parts.query, ""))
        self.dialogue = Dialogue(hello)
        self.options: dict[str, Any] = {
            "subprotocols": [p.VERSION], "max_size": LARGEST, "compression": None, "proxy": None,
            # Credit bounds what waits; a full queue would keep close() waiting for its timeout.
            "max_queue": None, "close_timeout": 3,
            "additional_headers": {"Authorization": f"Bearer {token}"} if token else None,
        }  # fmt: skip
        self._open: Any = None

    def __enter__(self) -> Live:
        self._open = Live(self)
        live: Live = self._open
        return live.__enter__()

    def __exit__(self, *_: object) -> None:
        self._open.close()

    async def __aenter__(self) -> AsyncLive:
        self._open = AsyncLive(self)
        live: AsyncLive = self._open
        await live.connect()
        return live

    async def __aexit__(self, *_: object) -> None:
        await self._open.close()


class Live:
    """A running stream, blocking. Iterate it or ``chunks``; ``send`` controls; ``end`` gives the session up."""

    def __init__(self, made: Connect) -> None:
        self.made, self.dialogue = made, made.dialogue
        self._socket: SyncSocket | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Live:
        self._connect()
        while self.dialogue.configured is None:
            self._receive()
        return self

    def send(self, kind: str, value: Any = None) -> str:
        """Queue a control; returns its id, which comes back in ``LiveChunk.applied``.

        Raises:
            ConnectionClosed: the connection is lost; ``chunks`` resumes it.
        """
        control = self.dialogue.control(kind, value)
        self._send(control)
        return control.id

    def chunks(self, count: int | None = None) -> Iterator[LiveChunk]:
        """So many chunks, or all until the session ends."""
        made = 0
        while (count is None or made < count) and not self.dialogue.is_over():
            try:
                chunk = self._receive()
            except ConnectionClosed:
                if self.dialogue.is_over():
                    return
                if not self.dialogue.resume():
                    raise UserError("the connection was lost") from None
                self._connect()
                continue
            if chunk is not None:
                made += 1
                with suppress(ConnectionClosed):  # why it closed is still to be read
                    self._send(p.Ack(seq=chunk.seq))
                yield chunk

    __iter__ = chunks

    def end(self) -> None:
        """End the session for good; leaving the ``with`` block does so, too."""
        if self._socket is not None and self.dialogue.configured and self.dialogue.configured.role == "owner":
            self._send(p.End())

    def close(self) -> None:
        with suppress(ConnectionClosed):
            self.end()
        self._stack.close()

    def _connect(self) -> None:
        self._stack.close()
        try:
            self._socket = self._stack.enter_context(connect_sync(self.made.url, **self.made.options))
        except (OSError, InvalidHandshake) as error:
            raise UserError(_refused(self.made.url, error)) from None
        self._send(self.dialogue.hello)

    def _send(self, message: p.Message) -> None:
        assert self._socket is not None, "connected before"
        self._socket.send(message.model_dump_json())

    def _receive(self) -> LiveChunk | None:
        assert self._socket is not None, "connected before"
        return self.dialogue.receive(self._socket.recv())


class AsyncLive:
    """``Live`` for asyncio."""

    def __init__(self, made: Connect) -> None:
        self.made, self.dialogue = made, made.dialogue
        self._socket: AsyncSocket | None = None
        self._stack = AsyncExitStack()

    async def connect(self) -> None:
        await self._connect()
        while self.dialogue.configured is None:
            await self._receive()

    async def send(self, kind: str, value: Any = None) -> str:
        """Queue a control; returns its id, which comes back in ``LiveChunk.applied``.

        Raises:
            ConnectionClosed: the connection is lost; ``chunks`` resumes it.
        """
        control = self.dialogue.control(kind, value)
        await self._send(control)
        return control.id

    async def chunks(self, count: int | None = None) -> AsyncIterator[LiveChunk]:
        """So many chunks, or all until the session ends."""
        made = 0
        while (count is None or made < count) and not self.dialogue.is_over():
            try:
                chunk = await self._receive()
            except ConnectionClosed:
                if self.dialogue.is_over():
                    return
                if not self.dialogue.resume():
                    raise UserError("the connection was lost") from None
                await self._connect()
                continue
            if chunk is not None:
                made += 1
                with suppress(ConnectionClosed):  # why it closed is still to be read
                    await self._send(p.Ack(seq=chunk.seq))
                yield chunk

    __aiter__ = chunks

    async def end(self) -> None:
        """End the session for good; leaving the ``async with`` block does so, too."""
        if self._socket is not None and self.dialogue.configured and self.dialogue.configured.role == "owner":
            await self._send(p.End())

    async def close(self) -> None:
        with suppress(ConnectionClosed):
            await self.end()
        await self._stack.aclose()

    async def _connect(self) -> None:
        await self._stack.aclose()
        try:
            self._socket = await self._stack.enter_async_context(connect_async(self.made.url, **self.made.options))
        except (OSError, InvalidHandshake) as error:
            raise UserError(_refused(self.made.url, error)) from None
        await self._send(self.dialogue.hello)

    async def _send(self, message: p.Message) -> None:
        assert self._socket is not None, "connected before"
        await self._socket.send(message.model_dump_json())

    async def _receive(self) -> LiveChunk | None:
        assert self._socket is not None, "connected before"
        return self.dialogue.receive(await self._socket.recv())


def _refused(url: str, error: Exception) -> str:
    address = url.partition("?")[0]
    return f"cannot connect to {address}: {error}; is `unreel serve` running there, and is the token right?"


def connect(
    url: str, *, token: str | None = None, watch: str | None = None, format: str = "rgb", **configure: Any
) -> Connect:
    """Open a live session on a server, or look at one with its ``watch`` token.

    Args:
        url: ``ws://host:port``.
        token: the server's, where it wants one.
        format: ``rgb`` (exact), ``h264``, ``jpeg`` or ``fmp4``; of rigs and motions ``rows``, too.
        configure: fields of the protocol's ``configure`` (or ``watch``): model, seed, steps, actions, pace, window...

    Raises:
        UserError: a bad address or field; entering the result raises it when the server refuses.
    """
    try:
        hello: p.Configure | p.Watch = (
            p.Configure(formats=[format], **configure)  # type: ignore[list-item]
            if watch is None
            else p.Watch(token=watch, formats=[format], **configure)  # type: ignore[list-item]
        )
    except ValueError as error:
        raise UserError(f"connect: {' '.join(str(error).split())[:300]}") from None
    return Connect(url, hello, token)
