"""What the server says."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unreel.streaming.message import VERSION, Format, Message


class ModelInfo(Message):
    """What a client may send to a model."""

    SPARSE = frozenset({"modality", "places", "mesh"})
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
    mesh: Literal["", "surface", "rig"] = Field(
        default="", description="what configure takes as mesh: a surface to be rigged (it must), a rig to be moved"
    )


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
    recording: str | None = Field(default=None, description="path of the film (MP4, GLB), as of now and afterwards")
    paused: bool = False


class Media(Message):
    """How the chunks that follow are encoded. One binary follows for ``fmp4``, the init segment, and for ``rows``,
    the GLB whose skeleton they pose or whose joints they are.
    """

    SPARSE = frozenset({"layout", "ahead"})

    type: Literal["media"] = "media"
    format: Format
    mime: str
    codec: str = Field(default="", description="as WebCodecs and MSE name it")
    width: int
    height: int
    fps: float
    bytes: int = Field(default=0, description="length of the binary frame that follows; 0: none does")
    layout: Literal["flat", "equirectangular", "cube", "poses", "joints"] = Field(
        default="flat",
        description="cube: every chunk is one face (``region``), and width and height are a face's; "
        "poses and joints: what ``rows`` of ``width`` float32 are",
    )
    ahead: list[float] | None = Field(
        default=None, description="poses: where one metre ahead (+z) of a path leads in rows, x and z"
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

    SPARSE = frozenset({"start", "region", "replaces", "rect", "final", "camera", "upcoming", "here"})
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
    here: list[float] | None = Field(
        default=None,
        description="poses: where the body is after it, as paths are told: x, z in metres, heading in degrees",
    )


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
