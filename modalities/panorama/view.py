"""What the given view shows of one window: padded canvases of the six faces, and how much of each is covered."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unreel.engine.state import Held
from unreel.modalities.panorama.cube import FACES, pad_faces
from unreel.modalities.panorama.cubemap import faces_from_view

UNKNOWN = torch.full((5,), math.nan)


@dataclass(frozen=True)
class Seen:
    """``canvas`` (6, T, 4, P, P) in half precision: RGB in [-1, 1], 0 where unknown, and coverage 0..1. None: nothing.

    ``pose`` (5,) is the camera at the last frame: roll, pitch, yaw, fov_x, fov_y in degrees, or not a number.
    """

    canvas: Tensor | None
    coverage: tuple[float, ...]
    pose: Tensor

    def covers(self, face: str) -> float:
        """The share of a face, over the window, that the view shows; to a thousandth, so that ties are ties."""
        return self.coverage[FACES.index(face)]


def look(view: Held | None, start: int, frames: int, size: int, pad: int) -> Seen:
    """What the view in force shows of the ``frames`` from latent frame ``start`` on."""
    picked = None if view is None or view.value is None else _pick(view, start, frames)
    if picked is None:
        return Seen(None, (0.0,) * len(FACES), UNKNOWN)
    frames_THWC, cameras = picked
    pictures = frames_THWC.movedim(-1, 1).float() / 127.5 - 1.0
    faces = faces_from_view(pictures, cameras, size)
    mask = faces[:, :, 3:]
    canvas = pad_faces(torch.cat((faces[:, :, :3] * mask, mask), 2), pad)
    shares = mask.mean((0, 2, 3, 4)).tolist()
    height, width = frames_THWC.shape[1:3]
    return Seen(
        canvas.transpose(0, 1).half().contiguous(), tuple(round(s, 3) for s in shares), _pose(cameras, height / width)
    )


def _pick(view: Held, start: int, frames: int) -> tuple[Tensor, Tensor] | None:
    """The frames and cameras of one window; None after a clip's end. Its last window is filled with its last frame."""
    taken, cameras = view.value["frames"], view.value["cameras"]
    first = start - view.since
    if len(taken) > 1 and first >= len(taken):
        return None
    index = torch.arange(first, first + frames).clamp(0, len(taken) - 1)
    return taken[index], cameras[index]


def _pose(cameras: Tensor, aspect: float) -> Tensor:
    """The last camera (5,), with the vertical field of view that square pixels give it."""
    roll, pitch, yaw, fov = cameras[-1].tolist()
    fov_y = 2 * math.degrees(math.atan(math.tan(math.radians(fov) / 2) * aspect))
    return torch.tensor([roll, pitch, yaw, fov, fov_y])
