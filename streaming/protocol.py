"""Every message on the wire, once. PROTOCOL.md explains them; asyncapi.yaml is generated from them.

A text frame is one JSON message; a binary frame belongs to the message before it (``chunk`` and ``media``).
Unknown fields are refused in both directions: a typo is an error, not a silent no-op.
What only some modalities have (``SPARSE``) is left out of a message where it says nothing, so that older clients
read what they always read.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    TypeAdapter,
    ValidationError,
    model_serializer,
)

from unreel.engine.errors import UserError

VERSION = "unreel.v1"

Format = Literal["h264", "fmp4", "jpeg", "rgb"]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Secret = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
ControlId = Annotated[str, Field(max_length=64)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Kind = Literal[
    "prompt", "action", "camera", "place", "view", "seed", "steps", "preset", "pause", "resume", "step", "reset",
    "fork", "rewind",
]  # fmt: skip


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    SPARSE: ClassVar[frozenset[str]] = frozenset()  # fields that are left out where they have their default

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields, known = handler(self), type(self).model_fields
        return {k: v for k, v in fields.items() if k not in self.SPARSE or v != known[k].default}


# ---- client to server -----------------------------------------------------------------------------------


class Configure(Message):
    """Start a session. The server answers ``queued`` any number of times, then ``configured``, or ``error``."""

    SPARSE = frozenset({"place", "view"})
    type: Literal["configure"] = "configure"
    model: Name | None = Field(default=None, description="one of GET /v1/models; by default the first")
    seed: Seed = 0
    steps: Annotated[int, Field(ge=1, le=1000)] | None = None
    preset: Name | None = Field(default=None, description="one of the model's presets")
    start: Annotated[int, Field(ge=0)] | Literal["nothing"] | None = Field(
        default=None, description="number of a shipped start clip; by default the one that seed picks"
    )
    actions: Annotated[str, Field(max_length=4096)] | None = Field(
        default=None, description="in force from the first chunk"
    )
    prompt: Annotated[str, Field(max_length=4096)] | None = None
    place: Annotated[str, Field(max_length=64)] | None = Field(
        default=None, description="one of the model's places, in force from the first chunk"
    )
    view: Secret | None = Field(default=None, description="an uploaded clip or photo, as POST /v1/views named it")
    formats: Annotated[list[Format], Field(min_length=1, max_length=8)] = Field(
        default=["h264"], description="in order of preference; the first that the server can make is taken"
    )
    pace: Literal["realtime", "free"] = Field(default="realtime", description="free: as fast as acks come")
    window: Annotated[int, Field(ge=1, le=64)] = Field(default=8, description="chunks that may be sent without an ack")
    record: bool = Field(default=True, description="keep an MP4 that can be downloaded")


class Control(Message):
    """Steer. The newest of a kind wins and takes effect at the next chunk boundary."""

    type: Literal["control"] = "control"
    id: ControlId = Field(default="", description="chosen by the client; comes back in every answer")
    kind: Kind
    value: Annotated[str, Field(max_length=4096)] | int | Annotated[list[float], Field(max_length=64)] | None = None


class Ack(Message):
    """Everything up to chunk ``seq`` is dealt with. Without acks the server stops sending after ``window`` chunks."""

    type: Literal["ack"] = "ack"
    seq: Annotated[int, Field(ge=0, lt=2**63)]


class Watch(Message):
    """Look at a session of somebody else; ``token`` is the ``watch`` of its ``configured``."""

    type: Literal["watch"] = "watch"
    token: Secret
    formats: Annotated[list[Format], Field(min_length=1, max_length=8)] = ["h264"]
    window: Annotated[int, Field(ge=1, le=64)] = 8


class Resume(Message):
    """Take a session of one's own up again after a lost connection. Any older connection to it is closed."""

    type: Literal["resume"] = "resume"
    session: Name
    key: Secret
    last_seq: Annotated[int, Field(ge=0, lt=2**63)] | None = Field(
        default=None, description="the last chunk that was decoded; null starts from a picture that needs no other"
    )
    formats: Annotated[list[Format], Field(min_length=1, max_length=8)] = ["h264"]
    window: Annotated[int, Field(ge=1, le=64)] = 8


class Ping(Message):
    """Answered by ``pong`` with the same ``t``."""

    type: Literal["ping"] = "ping"
    t: float = 0.0


class End(Message):
    """Close the session for good (a lost connection keeps it for a while). Only its owner can."""

    type: Literal["end"] = "end"


ClientMessage = Annotated[
    Configure | Control | Ack | Watch | Resume | Ping | End,
    Field(discriminator="type"),
]

# ---- server to client -----------------------------------------------------------------------------------


class ModelInfo(Message):
    """What a client may send to a model."""

    SPARSE = frozenset({"modality", "places"})
    name: str
    description: str
    actions: list[str]
    controls: list[str]
    presets: list[str]
    steps: int
    fps: float
    width: int
    height: int
    frames_per_chunk: int
    start_clips: int
    modality: str = Field(default="video", description="what chunks are; the page chooses its player by it")
    places: list[str] = Field(default=[], description="what the control place takes")


class Queued(Message):
    """No place yet. ``position`` 1 is next."""

    type: Literal["queued"] = "queued"
    position: int
    retry_after_s: float


class Configured(Message):
    """The session runs. ``key`` (owner only) resumes it, ``watch`` lets others look."""

    type: Literal["configured"] = "configured"
    version: str = VERSION
    role: Literal["owner", "viewer"]
    session: str
    key: str | None = None
    watch: str
    model: ModelInfo
    window: int
    resume_s: float
    recording: str | None = Field(default=None, description="path of the MP4, as of now and afterwards")
    paused: bool = False


class Media(Message):
    """How the chunks that follow are encoded; for ``fmp4`` one binary follows, the init segment."""

    SPARSE = frozenset({"layout"})

    type: Literal["media"] = "media"
    format: Format
    mime: str
    codec: str = Field(default="", description="as WebCodecs and MSE name it")
    width: int
    height: int
    fps: float
    bytes: int = Field(default=0, description="length of the binary frame that follows; 0: none does")
    layout: Literal["flat", "equirectangular", "cube"] = Field(
        default="flat", description="cube: every chunk is one face (``region``), and width and height are a face's"
    )


class ControlStatus(Message):
    """What became of a control. ``accepted`` comes first; ``applied`` names the first chunk that obeys it."""

    type: Literal["control"] = "control"
    id: str
    kind: str
    status: Literal["accepted", "applied", "rejected", "replaced"]
    chunk: int | None = None
    seq: int | None = None
    reason: str | None = None


class Forked(Message):
    """A second session goes on from here; resume it with its own key within ``resume_s``."""

    type: Literal["forked"] = "forked"
    id: str
    session: str
    key: str
    watch: str
    resume_s: float


class Timing(Message):
    """Milliseconds: in the model, decoding, encoding, and from one chunk to the next."""

    model_ms: float
    decode_ms: float
    encode_ms: float
    total_ms: float


class Chunk(Message):
    """One chunk; a binary of ``bytes`` follows. ``sizes`` cuts it into frames (``fmp4``: one fragment).

    ``start`` and what follows it are there only where a window of time comes in several parts (a panorama's faces).
    """

    SPARSE = frozenset({"start", "region", "replaces", "rect", "final", "camera", "upcoming"})
    type: Literal["chunk"] = "chunk"
    seq: int = Field(description="rises by one per chunk made, whatever is rewound; a gap was dropped for this client")
    chunk: int = Field(description="the model's chunk number; goes back after reset and rewind")
    frames: int
    format: Format
    key: bool = Field(description="decodes without any chunk before it")
    replay: bool = Field(default=False, description="made before this client joined: show the last picture of it only")
    applied: list[str] = Field(default=[], description="ids of the controls this chunk is the first to obey")
    sizes: list[int]
    bytes: int
    timing: Timing
    start: int | None = Field(default=None, description="first frame of its window, on the model's own time axis")
    region: str | None = Field(default=None, description="which part of the window it is: a face, F R B L U or D")
    replaces: int | None = Field(default=None, description="seq of the chunk in which it supersedes ``rect``")
    rect: list[int] | None = Field(default=None, description="top, left, height, width in its region; null: all of it")
    final: bool | None = Field(default=None, description="whether this region of this window is done for good")
    camera: list[float] | None = Field(
        default=None, description="the given view: roll, pitch, yaw, fov_x, fov_y in degrees"
    )
    upcoming: str | None = Field(default=None, description="the region that is made next; null: not decided yet")


class Stats(Message):
    """About once a second."""

    type: Literal["stats"] = "stats"
    fps: float = Field(description="frames made per second over the last seconds")
    chunk_ms: float
    sessions: int
    queued: int
    viewers: int
    dropped: int = Field(description="chunks this client lost because it was too slow")
    context_bytes: int


class Pong(Message):
    type: Literal["pong"] = "pong"
    t: float


ErrorCode = Literal[
    "version", "invalid", "too_large", "too_fast", "state", "full", "unknown_model", "bad_request",
    "unknown_session", "forbidden", "failed", "encoder",
]  # fmt: skip


class Error(Message):
    """``retryable``: the same again may work later. The connection stays open unless ``closing`` follows."""

    type: Literal["error"] = "error"
    code: ErrorCode
    message: str
    retryable: bool = False
    retry_after_s: float | None = None


class Closing(Message):
    """The last message. ``session_kept``: it can be resumed."""

    type: Literal["closing"] = "closing"
    reason: Literal[
        "ended", "finished", "idle", "lifetime", "replaced", "failed", "shutdown", "protocol", "slow", "full",
        "timeout",
    ]  # fmt: skip
    message: str = ""
    session_kept: bool = False


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
