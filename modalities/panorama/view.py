"""What the given view shows of one window: padded canvases of the six faces, and how much of each is covered."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from unreel.engine.state import Held
from unreel.modalities.panorama.cube import FACES, pad_faces, points
from unreel.modalities.panorama.cubemap import camera_to_world, faces_from_view

STITCHED = 16  # frames that are enough to know what a clip shows of the world
SPOTS = 16  # a side of a face: where coverage is looked at
UNKNOWN = torch.full((5,), math.nan)


@dataclass(frozen=True)
class Seen:
    """``canvas`` (6, T, 4, P, P) in half precision: RGB in [-1, 1], 0 where unknown, and coverage 0..1. None: nothing.

    ``shares`` (6,) of the faces that are covered, over the window. ``pose`` (5,) is the camera at the last frame: roll,
    pitch, yaw, fov_x, fov_y in degrees, or not a number.
    """

    canvas: Tensor | None
    shares: tuple[float, ...]
    pose: Tensor

    def covers(self, face: str) -> float:
        return self.shares[FACES.index(face)]


def look(view: Held | None, start: int, frames: int, size: int, pad: int) -> Seen:
    """What the view in force shows of the ``frames`` from latent frame ``start`` on."""
    index = _frames(view, start, frames)
    if view is None or index is None:
        return Seen(None, (0.0,) * len(FACES), UNKNOWN)
    frames_THWC, cameras = view.value["frames"][index], view.value["cameras"][index]
    faces = faces_from_view(frames_THWC.movedim(-1, 1).float() / 127.5 - 1.0, cameras, size)
    mask = faces[:, :, 3:]
    canvas = pad_faces(torch.cat((faces[:, :, :3] * mask, mask), 2), pad)
    pose = _pose(cameras, frames_THWC.shape[1] / frames_THWC.shape[2])
    return Seen(canvas.transpose(0, 1).half().contiguous(), _mean(view, index), pose)


def ahead(view: Held | None, start: int, frames: int, reach: int, least: float) -> dict[str, int]:
    """For every face, the first latent frame of the nearest window to come (of ``reach``) that covers ``least``."""
    found: dict[str, int] = {}
    for first in range(start + frames, start + (reach + 1) * frames, frames):
        index = _frames(view, first, frames)
        if view is None or index is None or len(view.value["frames"]) == 1:
            break  # a photograph shows nothing later that it does not show now
        for face, share in zip(FACES, _mean(view, index), strict=True):
            if share >= least:
                found.setdefault(face, first)
    return found


def stitch(view: Held, start: int, frames: int, reach: int, size: int, pad: int) -> Tensor:
    """All that the view will show in ``reach`` windows, laid together: (6, 4, P, P), RGB and 1 where something is seen.

    Of at most ``STITCHED`` frames; what is seen sooner lies on top. Exact for a camera that turns and does not move.
    """
    first = start - view.since
    last = min(len(view.value["frames"]), first + reach * frames) - 1
    index = torch.linspace(first, last, min(STITCHED, last - first + 1)).round().long()
    pictures = view.value["frames"][index].movedim(-1, 1).float() / 127.5 - 1.0
    faces = faces_from_view(pictures, view.value["cameras"][index], size)
    whole = torch.zeros_like(faces[0])
    for face in faces.flip(0):
        seen = (face[:, 3:] > 0.5).float()
        whole = torch.lerp(whole, torch.cat((face[:, :3], seen), 1), seen)
    return pad_faces(whole[None], pad)[0]


def shares(cameras_N4: Tensor, height: int, width: int) -> Tensor:
    """Which share of every face cameras see in frames of a shape: (N, 6), to a thousandth, so that ties are ties."""
    spots, known = points(SPOTS).reshape(len(FACES), -1, 3), {}
    for camera in cameras_N4:
        if (key := tuple(camera.tolist())) not in known:
            x, y, z = (spots @ camera_to_world(camera.double())).unbind(-1)
            reach = math.tan(math.radians(key[3]) / 2) * z
            seen = (z > 0) & (x.abs() <= reach) & (y.abs() <= reach * height / width)
            known[key] = (seen.float().mean(-1) * 1000).round() / 1000
    return torch.stack([known[tuple(camera.tolist())] for camera in cameras_N4])


def _frames(view: Held | None, start: int, frames: int) -> Tensor | None:
    """Which frames of the view belong to a window; None after a clip's end. Its last window is filled with its last."""
    if view is None or view.value is None:
        return None
    count, first = len(view.value["frames"]), start - view.since
    if count > 1 and first >= count:
        return None
    return torch.arange(first, first + frames).clamp(0, count - 1)


def _mean(view: Held, index: Tensor) -> tuple[float, ...]:
    return tuple(round(share, 3) for share in view.value["shares"][index].mean(0).tolist())


def _pose(cameras: Tensor, aspect: float) -> Tensor:
    """The last camera (5,), with the vertical field of view that square pixels give it."""
    roll, pitch, yaw, fov = cameras[-1].tolist()
    fov_y = 2 * math.degrees(math.atan(math.tan(math.radians(fov) / 2) * aspect))
    return torch.tensor([roll, pitch, yaw, fov, fov_y])
