"""Every message on the wire, once. PROTOCOL.md explains them; asyncapi.yaml is generated from them.

``asked.py`` has what clients say, ``told.py`` what the server says, ``message.py`` what both are made of.
A text frame is one JSON message; a binary frame belongs to the message before it (``chunk`` and ``media``).
Unknown fields are refused in both directions: a typo is an error, not a silent no-op.
What only some modalities have (``SPARSE``) is left out of a message where it says nothing, so that older clients
read what they always read.
"""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from unreel.engine.errors import UserError
from unreel.streaming.asked import Ack, Configure, Control, Curve, End, Ping, Resume, Watch
from unreel.streaming.message import VERSION, Format, Kind, Message
from unreel.streaming.told import (
    Chunk,
    Closing,
    Configured,
    ControlStatus,
    Error,
    ErrorCode,
    Forked,
    Media,
    ModelInfo,
    Pong,
    Queued,
    Stats,
    Timing,
)

__all__ = [
    "VERSION", "Ack", "Chunk", "ClientMessage", "Closing", "Configure", "Configured", "Control", "ControlStatus",
    "Curve", "End", "Error", "ErrorCode", "Forked", "Format", "Kind", "Media", "Message", "ModelInfo", "Ping", "Pong",
    "Queued", "Resume", "ServerMessage", "Stats", "Timing", "Watch", "parse_client", "parse_server",
]  # fmt: skip

ClientMessage = Annotated[
    Configure | Control | Ack | Watch | Resume | Ping | End,
    Field(discriminator="type"),
]

ServerMessage = Annotated[
    Queued | Configured | Media | ControlStatus | Forked | Chunk | Stats | Pong | Error | Closing,
    Field(discriminator="type"),
]

_CLIENT: TypeAdapter[Any] = TypeAdapter(ClientMessage)
_SERVER: TypeAdapter[Any] = TypeAdapter(ServerMessage)


def parse_client(text: str) -> Any:
    """The client message in ``text``; UserError, one line, for anything else."""
    return _parse(_CLIENT, text)


def parse_server(text: str) -> Any:
    """The server message in ``text``; UserError, one line, for anything else."""
    return _parse(_SERVER, text)


def _parse(adapter: TypeAdapter[Any], text: str) -> Any:
    try:
        return adapter.validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise UserError(f"{where}: {first['msg']}"[:300] if where else first["msg"][:300]) from None
    except RecursionError:
        raise UserError("the message is nested too deeply") from None
