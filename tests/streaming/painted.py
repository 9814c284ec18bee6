"""A panorama model without a mind: the real engine and plan, and a codec that paints every face in its own colour.

Every face has a white bar at the middle of its top edge and a black one at the middle of its right edge; strips are
magenta. A square in the middle gets lighter with time.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import unreel.catalogue  # noqa: F401
from unreel.engine import registry
from unreel.engine.card import Card
from unreel.engine.model import Model, build
from unreel.engine.rope import Rope
from unreel.engine.types import Chunk, Emission
from unreel.modalities.panorama.cubemap import FACES, NEIGHBOURS
from unreel.modalities.panorama.patch import FacePatch

SIDE, STRIP = 64, 8
PAINT = {
    "F": (200, 40, 40), "R": (40, 180, 40), "B": (40, 80, 220), "L": (220, 160, 30), "U": (90, 200, 220),
    "D": (120, 70, 30),
}  # fmt: skip
MAGENTA = (230, 0, 200)
CAMERA = (0.0, 0.0, 20.0, 60.0, 40.0)


def paint(face: str, start: int, frames: int, side: int = SIDE) -> np.ndarray:
    """A face's frames, uint8 (T, side, side, 3)."""
    picture = np.empty((frames, side, side, 3), np.uint8)
    picture[:] = PAINT[face]
    third, thin = side // 3, side // 6
    picture[:, 2 : 2 + thin, third:-third] = 255
    picture[:, third:-third, -2 - thin : -2] = 0
    for t in range(frames):
        picture[t, side // 2 - 4 : side // 2 + 4, side // 2 - 4 : side // 2 + 4] = 60 + (start + t) % 16 * 12
    return picture


def strip(face: str, edge: str, frames: int) -> FacePatch:
    """What replaces the rim of a face along one of its edges."""
    height, width = (STRIP, SIDE) if edge in ("top", "bottom") else (SIDE, STRIP)
    top, left = SIDE - STRIP if edge == "bottom" else 0, SIDE - STRIP if edge == "right" else 0
    return FacePatch(face, np.full((frames, height, width, 3), MAGENTA, np.uint8), top, left)


class Painter:
    """The codec: what was denoised is not looked at."""

    frames_per_latent = 1

    def latent_shape(self, frames: int, height: int, width: int) -> tuple[int, ...]:
        return frames, 48, 20, 20

    def new_state(self) -> dict[str, Any]:
        return {"start": -1, "made": {}}

    def emit(
        self, chunk: Chunk, latents: Tensor, told: Mapping[str, Tensor], state: dict[str, Any]
    ) -> tuple[list[Emission], dict[str, Any]]:
        made: dict[str, Chunk] = {} if state["start"] != chunk.start else dict(state["made"])
        made[chunk.region] = chunk
        pose = told["pose"]
        camera: Any = CAMERA if bool(pose.isnan().any()) else tuple(pose.tolist())

        def final(face: str) -> bool:
            return all(other in made for other, _, _ in NEIGHBOURS[face].values())

        whole = FacePatch(chunk.region, paint(chunk.region, chunk.start, chunk.frames), camera=camera)
        emissions = [Emission(chunk, whole, final(chunk.region))]
        for other, edge, _ in NEIGHBOURS[chunk.region].values():
            if other in made:
                emissions.append(Emission(made[other], strip(other, edge, chunk.frames), final(other)))
        return emissions, {"start": chunk.start, "made": made}


class Idle(nn.Module):
    """The backbone: one token, no opinion, and ``pause`` seconds for every call."""

    layers, heads, head_dim, wants_previous = 1, 1, 8, False
    rope = Rope((2, 2, 2, 2))

    def __init__(self, pause: float = 0.0) -> None:
        super().__init__()
        self.pause = pause

    def coords(self, chunk_shape: tuple[int, ...], region: str) -> Tensor:
        return torch.tensor([[0, 0, 0, FACES.index(region[0])]])

    def signal(self, state: Tensor) -> Tensor:
        return state

    def forward(self, states: Tensor, times_R: Tensor, view: Any, condition: Mapping[str, Tensor]) -> Tensor:
        time.sleep(self.pause)
        zeros = torch.zeros(len(states), 1, 1, 8)
        view.attend(0, zeros, zeros, zeros)
        return torch.zeros_like(states)


registry.register("codec", "painter", Painter)
registry.register("backbone", "idle", Idle)


def painted_model(**changes: Any) -> Model:
    """The model; keyword arguments change its card."""
    card = {
        "name": "fake", "modality": "panorama", "licence": "Apache-2.0", "architecture": {"class": "idle"},
        "codec": {"class": "painter"}, "media": {"fps": 8, "height": 2 * SIDE, "width": 4 * SIDE},
        "plan": {"class": "cube", "frames": 4, "size": SIDE}, "schedule": {"steps": 1},
        "context": {"class": "span", "recent": 4},
        "conditions": {"place": {"names": ["garden", "street"]}}, **changes,
    }  # fmt: skip
    return build(Card.model_validate(card), Path(), None, "cpu", "float32", 0)
