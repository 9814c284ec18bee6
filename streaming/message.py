"""What all messages share: a frozen model that refuses unknown fields, and the words that several of them use."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

VERSION = "unreel.v1"

Format = Literal["h264", "fmp4", "jpeg", "rgb", "rows"]
Name = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9_.:-]+$")]
Secret = Annotated[str, Field(min_length=8, max_length=64, pattern=r"^[A-Za-z0-9_-]+$")]
ControlId = Annotated[str, Field(max_length=64)]
Seed = Annotated[int, Field(ge=0, lt=2**63)]
Kind = Literal[
    "prompt", "action", "camera", "place", "view", "seed", "steps", "preset", "pause", "resume", "step", "reset",
    "fork", "rewind", "path",
]  # fmt: skip


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)
    SPARSE: ClassVar[frozenset[str]] = frozenset()  # fields that are left out where they have their default

    @model_serializer(mode="wrap")
    def _written(self, handler: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields, known = handler(self), type(self).model_fields
        return {k: v for k, v in fields.items() if k not in self.SPARSE or v != known[k].default}
