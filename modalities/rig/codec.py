"""From states to joints in the mesh's own units."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.types import Chunk, Emission
from unreel.modalities.rig.joint import Joint, is_end, name_of, parent_of, position_of


@dataclass(frozen=True, slots=True)
class JointCodec:
    """One `Joint` per chunk; nothing for the end of a skeleton. It needs no memory."""

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        raise UserError("a rig does not begin with frames: send it a mesh")

    def encode(self, media: Any) -> Tensor:
        raise UserError("a rig does not begin with frames: send it a mesh")

    def new_state(self) -> dict[str, Tensor]:
        return {}

    def emit(
        self, chunk: Chunk, latents: Tensor, told: Mapping[str, Tensor], state: dict[str, Tensor]
    ) -> tuple[list[Emission], dict[str, Tensor]]:
        """The joint that ``latents`` (1, 4 + K) are."""
        if is_end(latents):
            return [], state
        box = told["box"].double().cpu()
        x, y, z = (position_of(latents).double().cpu() * box[3] + box[:3]).tolist()
        parent = parent_of(latents) if chunk.index else -1
        return [Emission(chunk, Joint(chunk.index, name_of(chunk.index), parent, (x, y, z)))], state
