"""From canvases to what is seen: a face without its padding, and the strips of its neighbours that it mends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn.functional import pixel_shuffle

from unreel.engine.errors import UserError
from unreel.engine.types import Chunk, Emission
from unreel.modalities.media.frames import Frames
from unreel.modalities.panorama.cube import EDGES, NEIGHBOURS
from unreel.modalities.panorama.patch import FacePatch
from unreel.modalities.panorama.seams import blend, is_settled, strip_of


@dataclass(frozen=True, slots=True)
class FaceCodec:
    """Faces of ``size`` pixels on canvases with ``pad`` more on every side, folded by ``fold``.

    Its state holds the canvases (T, 3, P, P) of the window at hand by face, and the numbers of their chunks.
    ``mend`` blends the strips along the seams (see ``seams``); without it every face stays as it was made.
    ``yielding``: later faces give way to earlier ones.
    """

    size: int = 128
    pad: int = 8
    fold: int = 4
    mend: bool = True
    yielding: bool = False

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        raise UserError("a panorama does not begin with frames: send it a view")

    def encode(self, media: Frames) -> Tensor:
        raise UserError("a panorama does not begin with frames: send it a view")

    def new_state(self) -> dict[str, Tensor]:
        return {}

    def emit(
        self, chunk: Chunk, latents: Tensor, told: Mapping[str, Tensor], state: dict[str, Tensor]
    ) -> tuple[list[Emission], dict[str, Tensor]]:
        """The face that ``latents`` (T, 3 * fold**2, H, W) are, and a strip of each neighbour made before it.

        A face is final when its four neighbours are made too, without ``mend`` at once: it changes no more then.
        """
        held = {name: kept for name, kept in state.items() if int(state["start"]) == chunk.start}
        held["start"] = torch.tensor(chunk.start)
        held["index." + chunk.region] = torch.tensor(chunk.index)
        held[chunk.region] = pixel_shuffle(latents.float(), self.fold).clamp(-1, 1)
        made = {name: kept for name, kept in held.items() if len(name) == 1}
        final = not self.mend or is_settled(chunk.region, made)
        order = "".join(sorted(made, key=lambda face: int(held["index." + face]))) if self.yielding else ""
        emissions = [Emission(chunk, self._face(chunk.region, made, order, told["pose"]), final)]
        for edge in EDGES:
            other, its_edge, _ = NEIGHBOURS[chunk.region][edge]
            if other in made and self.mend:
                mended = strip_of(other, its_edge, blend(other, made, self.pad, order), self.pad)
                patch = FacePatch(other, to_frames(mended.pixels_TCHW), mended.top, mended.left)
                whose = replace(chunk, index=int(held["index." + other]), region=other)
                emissions.append(Emission(whose, patch, is_settled(other, made)))
        return emissions, held

    def _face(self, face: str, made: Mapping[str, Tensor], order: str, pose: Tensor) -> FacePatch:
        inner = slice(self.pad, self.pad + self.size)
        pixels = blend(face, made, self.pad, order) if self.mend else made[face][..., inner, inner]
        roll, pitch, yaw, fov_x, fov_y = pose.tolist()
        camera = None if fov_x != fov_x else (roll, pitch, yaw, fov_x, fov_y)
        return FacePatch(face, to_frames(pixels), camera=camera)


def to_frames(pixels_TCHW: Tensor) -> Frames:
    """Colours in [-1, 1] as frames uint8 (T, H, W, 3)."""
    levels = ((pixels_TCHW.detach().float() + 1.0) * 127.5).round_().clamp_(0, 255).to(torch.uint8)
    frames: Frames = levels.movedim(1, -1).contiguous().cpu().numpy()
    return frames
