"""The line between the loop and the engine: what the hub asks for, and what comes back.

Requests return at once; whatever comes of them arrives as a ``Notice``, in order per session. So the hub, the
rooms and the connections are plain objects, tested without threads, models or sockets.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from unreel.streaming.protocol import Media, Timing


@dataclass(frozen=True, slots=True)
class Start:
    """A session that is wanted. ``options`` go to ``Model.session``; ``period`` 0 is not paced.

    ``controls`` are (kind, value) in force from the first chunk on; ``shape`` is the mesh or rig it is about.
    """

    options: dict[str, Any]
    period: float
    record: bool
    prompt: str | None = None
    controls: tuple[tuple[str, Any], ...] = ()
    shape: Any = None


class Backend(Protocol):
    """The engine side of one model."""

    def open(self, id: str, start: Start) -> None: ...

    def control(self, id: str, control: str, kind: str, value: Any) -> None: ...

    def fork(self, id: str, control: str, new: str, record: bool) -> None: ...

    def grant(self, id: str, upto: int) -> None:
        """Chunks with a seq below ``upto`` may be made."""
        ...

    def want(self, id: str, formats: frozenset[str]) -> None:
        """Encode the chunks that follow in these formats."""
        ...

    def key(self, id: str, format: str, still: bool) -> None:
        """Let the next chunk begin with a key; ``still``: encode the last picture again, nothing is being made."""
        ...

    def touch(self, id: str) -> None:
        """Its owner did something."""
        ...

    def close(self, id: str) -> None: ...


# ---- what comes back ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Part:
    """What else is said of a chunk: which part of its window it is, where windows come in parts; where a body is."""

    start: int | None = None
    region: str | None = None
    replaces: int | None = None
    rect: tuple[int, int, int, int] | None = None
    final: bool | None = None
    camera: tuple[float, ...] | None = None
    upcoming: str | None = None
    here: tuple[float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Packet:
    """One chunk in one format. ``whole``: with it, all parts of a window are there."""

    seq: int
    chunk: int
    frames: int
    key: bool
    data: bytes
    sizes: tuple[int, ...]
    applied: tuple[str, ...]
    timing: Timing
    media: tuple[Media, bytes]
    part: Part = Part()
    whole: bool = True


@dataclass(frozen=True, slots=True)
class Notice:
    """Something happened to session ``id``."""

    id: str


@dataclass(frozen=True, slots=True)
class Position(Notice):
    position: int
    retry_after_s: float


@dataclass(frozen=True, slots=True)
class Refused(Notice):
    """It never began. ``retry_after_s`` is set when there was no room."""

    message: str
    retry_after_s: float | None = None
    code: str = "bad_request"


@dataclass(frozen=True, slots=True)
class Began(Notice):
    """It has its place. ``seq`` is its next chunk's; above 0 for a fork."""

    seq: int = 0
    paused: bool = False


@dataclass(frozen=True, slots=True)
class Receipt(Notice):
    control: str
    kind: str
    status: str
    chunk: int | None = None
    seq: int | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Made(Notice):
    """A chunk is ready to be sent. ``packets`` by format; ``applied`` are (control id, kind).

    ``frames`` are those it adds to the film: none while parts of their window are missing.
    """

    seq: int
    chunk: int
    frames: int
    applied: tuple[tuple[str, str], ...]
    timing: Timing
    packets: dict[str, Packet] = field(default_factory=dict)
    context_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Still(Notice):
    """The last picture once more, decodable alone; one each where it has parts."""

    format: str
    packet: Packet


@dataclass(frozen=True, slots=True)
class Ended(Notice):
    """Its place is free. ``why``: finished, idle, lifetime, failed, closed or encoder."""

    why: str
    message: str = ""
