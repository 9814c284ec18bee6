"""What a client says."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from unreel.streaming.message import ControlId, Format, Kind, Message, Name, Secret, Seed

Point = Annotated[list[Annotated[float, Field(allow_inf_nan=False)]], Field(min_length=2, max_length=2)]


class Configure(Message):
    """Start a session. The server answers ``queued`` any number of times, then ``configured``, or ``error``."""

    SPARSE = frozenset({"place", "view", "mesh", "restart"})
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
    mesh: Literal["example"] | Secret | None = Field(
        default=None, description="an uploaded mesh or rig, as POST /v1/meshes named it, or the model's own example"
    )
    formats: Annotated[list[Format], Field(min_length=1, max_length=8)] = Field(
        default=["h264"], description="in order of preference; the first that the server can make is taken"
    )
    pace: Literal["realtime", "free"] = Field(default="realtime", description="free: as fast as acks come")
    window: Annotated[int, Field(ge=1, le=64)] = Field(default=8, description="chunks that may be sent without an ack")
    record: bool = Field(default=True, description="keep a film (an animation, a rig) that can be downloaded")
    restart: bool | None = Field(
        default=None, description="begin anew when the world is over; by default where the model knows when it is"
    )


class Curve(Message):
    """What the control ``path`` takes: points x, z on the ground in metres, seen from where the session begins."""

    points: Annotated[list[Point], Field(min_length=2, max_length=256)]
    speed: Annotated[float, Field(gt=0, allow_inf_nan=False)] = Field(default=1.2, description="metres per second")
    closed: bool = Field(default=False, description="the end leads back to the beginning")


class Control(Message):
    """Steer. The newest of a kind wins and takes effect at the next chunk boundary."""

    type: Literal["control"] = "control"
    id: ControlId = Field(default="", description="chosen by the client; comes back in every answer")
    kind: Kind
    value: (
        Annotated[str, Field(max_length=4096)] | int | Annotated[list[float], Field(max_length=64)] | Curve | None
    ) = None


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
