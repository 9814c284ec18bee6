"""Cube faces, equirectangular pictures and perspective views: one convention, one sampler, differentiable.

World axes: right-handed, Y up, +Z forward (glTF), so the right hand points to -X. Faces are seen from inside,
in the order F R B L U D: F looks forward, R right, B back, L left, each with the sky at its top; U's top edge
touches B and its bottom edge F; D's top edge touches F and its bottom edge B. An equirectangular picture (ERP,
twice as wide as high) has forward at its centre, up at its top and right at its right.

A camera is (roll, pitch, yaw, fov_x) in degrees: yaw turns it to the right, pitch up, roll clockwise as its holder
sees the camera turn (what it shows then leans counterclockwise). ``world = R_yaw R_pitch R_roll camera``: the
camera rolls about its own axis, is lifted, then turned about the world's vertical. Pixels are square.

Pixel centres lie between integers (``align_corners=False``): pixel i of n covers [i/n, (i+1)/n]. Pictures are
floating point, in any range. What is finer than the picture to be made is shrunk with an antialiasing filter
first. Bad sizes and fields of view raise `UserError`.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.panorama.cube import (
    EDGES,
    FACES,
    NEIGHBOURS,
    axes,
    centres,
    crop_faces,
    pad_face,
    pad_faces,
    points,
    rays,
)
from unreel.modalities.panorama.sampler import atlas, atlas_grid, resize, sample, shrink

__all__ = [
    "EDGES",
    "FACES",
    "NEIGHBOURS",
    "axes",
    "camera_to_world",
    "crop_faces",
    "erp_from_faces",
    "faces_from_erp",
    "faces_from_view",
    "pad_face",
    "pad_faces",
    "rays",
    "sample_erp",
    "view_from_erp",
    "view_from_faces",
    "view_rays",
]


def faces_from_erp(erp_TCHW: Tensor, size: int) -> Tensor:
    """The six faces of a panorama: (T, C, H, 2H) to (T, 6, C, size, size)."""
    frames, channels, height, width = erp_TCHW.shape
    if width != 2 * height or height < 2:
        raise UserError(f"an equirectangular picture is twice as wide as high, got {width}x{height}; crop or resize it")
    erp_TCHW = _shrink_erp(erp_TCHW, 2 * size)
    flat = sample(_wrap_erp(erp_TCHW, 1), _faces_in_erp(size, erp_TCHW.shape[-2]))
    return flat.reshape(frames, channels, 6, size, size).transpose(1, 2)


def erp_from_faces(faces_T6CSS: Tensor, height: int) -> Tensor:
    """The panorama of six faces: (T, 6, C, S, S) to (T, C, height, 2 height)."""
    faces_T6CSS = _shrink_faces(faces_T6CSS, math.ceil(height / 2))
    return sample(atlas(faces_T6CSS), _erp_in_atlas(faces_T6CSS.shape[-1], height))


def faces_from_view(frames_TCHW: Tensor, cameras_T4: Tensor, size: int) -> Tensor:
    """What a moving camera saw, laid on the faces: (T, 6, C + 1, size, size).

    ``cameras_T4`` holds roll, pitch, yaw and fov_x in degrees; fov_y follows from the shape of the frames. The last
    channel is coverage: 1 where the view knows, 0 elsewhere and behind the camera, with an edge one face pixel soft.
    Colours are not multiplied by it; they are 0 where coverage is 0.
    """
    _check_cameras(frames_TCHW, cameras_T4)
    cube = points(size).to(frames_TCHW.device, torch.promote_types(frames_TCHW.dtype, torch.float32))
    parts = []
    for start, stop in _runs(cameras_T4):
        camera, part = cameras_T4[start], frames_TCHW[start:stop]
        grid, coverage = _project(cube, camera, part.shape[-2:])
        finer = part.shape[-1] / float(_tangent(camera.detach())) / size
        part = sample(shrink(part, finer), grid.reshape(6 * size, size, 2))
        part = part.unflatten(-2, (6, size)).transpose(1, 2)
        coverage = coverage[None, :, None].to(part.dtype)
        parts.append(torch.cat([part * (coverage > 0), coverage.expand(len(part), -1, -1, -1, -1)], dim=2))
    return torch.cat(parts)


def view_from_faces(faces_T6CSS: Tensor, cameras_T4: Tensor, height: int, width: int) -> Tensor:
    """What a camera in the middle of the cube sees: (T, 6, C, S, S) to (T, C, height, width)."""
    _check_cameras(faces_T6CSS, cameras_T4)
    parts = []
    for start, stop in _runs(cameras_T4):
        camera = cameras_T4[start]
        faces = _shrink_faces(faces_T6CSS[start:stop], math.ceil(_quarter_turn(camera, width)))
        grid = atlas_grid(view_rays(camera, height, width).to(faces.device), faces.shape[-1])
        parts.append(sample(atlas(faces), grid))
    return torch.cat(parts)


def view_from_erp(erp_TCHW: Tensor, cameras_T4: Tensor, height: int, width: int) -> Tensor:
    """What a camera in the middle of a panorama sees: (T, C, H, 2H) to (T, C, height, width)."""
    _check_cameras(erp_TCHW, cameras_T4)
    parts = []
    for start, stop in _runs(cameras_T4):
        camera = cameras_T4[start]
        erp = _shrink_erp(erp_TCHW[start:stop], math.ceil(2 * _quarter_turn(camera, width)))
        grid = _erp_grid(view_rays(camera, height, width).to(erp.device), erp.shape[-2])
        parts.append(sample(_wrap_erp(erp, 1), grid))
    return torch.cat(parts)


def sample_erp(erp_TCHW: Tensor, directions_HW3: Tensor) -> Tensor:
    """A panorama's colours along any directions in the world: (T, C, H, 2H) and (h, w, 3) to (T, C, h, w)."""
    return sample(_wrap_erp(erp_TCHW, 1), _erp_grid(directions_HW3, erp_TCHW.shape[-2]))


def camera_to_world(camera_4: Tensor) -> Tensor:
    """The 3x3 rotation that turns a ray of the camera (forward +Z, up +Y, right -X) into one of the world."""
    roll, pitch, yaw = torch.deg2rad(camera_4[:3]).unbind()
    zero, one = torch.zeros_like(roll), torch.ones_like(roll)

    def matrix(*entries: Tensor) -> Tensor:
        return torch.stack(entries).reshape(3, 3)

    turned = matrix(yaw.cos(), zero, -yaw.sin(), zero, one, zero, yaw.sin(), zero, yaw.cos())
    lifted = matrix(one, zero, zero, zero, pitch.cos(), pitch.sin(), zero, -pitch.sin(), pitch.cos())
    rolled = matrix(roll.cos(), -roll.sin(), zero, roll.sin(), roll.cos(), zero, zero, zero, one)
    return turned @ lifted @ rolled


def view_rays(camera_4: Tensor, height: int, width: int) -> Tensor:
    """Directions in the world through the pixel centres of a view: (height, width, 3), not of unit length."""
    tangent = _tangent(camera_4)
    x = centres(width).to(camera_4) * tangent
    y = centres(height).to(camera_4) * tangent * (height / width)
    x, y = torch.broadcast_tensors(x[None, :], y[:, None])
    return torch.stack([-x, -y, torch.ones_like(x)], dim=-1) @ camera_to_world(camera_4).T


def _project(points_6SS3: Tensor, camera_4: Tensor, shape: torch.Size) -> tuple[Tensor, Tensor]:
    """Where points of the cube lie in a view of ``shape``, as a sampling grid, and how far the view covers them.

    Coverage: the distances of a point to the four planes through the camera and the view's edges are linear on a
    face, so the least of them over its gradient is the distance to the edge in pixels of that face.
    """
    rotation = camera_to_world(camera_4).to(points_6SS3.device)
    x, y, z = (points_6SS3.to(rotation) @ rotation).unbind(-1)
    edge_x = _tangent(camera_4).to(x.device)
    edge_y = edge_x * (shape[0] / shape[1])
    margin_x = (edge_x * z - x.abs()) / (1 + edge_x**2).sqrt()
    margin_y = (edge_y * z - y.abs()) / (1 + edge_y**2).sqrt()
    margin = torch.minimum(margin_x, margin_y)
    down, right = torch.gradient(margin, dim=(1, 2))
    pixels = margin / (down**2 + right**2).sqrt().clamp(min=1e-6)
    coverage = (1.002 * pixels + 0.5).clamp(0, 1) * (z > 0)  # a hair steep: rounding leaves no coverage of 1e-7
    depth = z.clamp(min=1e-6)
    return torch.stack([-x / depth / edge_x, -y / depth / edge_y], dim=-1).clamp(-2, 2), coverage


def _erp_grid(directions_HW3: Tensor, height: int) -> Tensor:
    """Where directions lie in an ERP of ``height`` rows that has a border of one pixel."""
    x, y, z = directions_HW3.unbind(-1)
    yaw = torch.atan2(-x, z)
    pitch = torch.atan2(y, (x * x + z * z).clamp(min=1e-20).sqrt())
    column = (yaw / (2 * math.pi) + 0.5) * 2 * height + 1
    row = (0.5 - pitch / math.pi) * height + 1
    return torch.stack([column / (height + 1) - 1, 2 * row / (height + 2) - 1], dim=-1)


def _wrap_erp(erp_TCHW: Tensor, border: int) -> Tensor:
    """An ERP with what lies beyond its edges: round the back, and over the poles half a turn on."""
    half = erp_TCHW.shape[-1] // 2
    above = erp_TCHW[..., :border, :].flip(-2).roll(half, -1)
    below = erp_TCHW[..., -border:, :].flip(-2).roll(half, -1)
    tall = torch.cat([above, erp_TCHW, below], dim=-2)
    return torch.cat([tall[..., -border:], tall, tall[..., :border]], dim=-1)


def _shrink_faces(faces_T6CSS: Tensor, size: int) -> Tensor:
    """Faces of at most ``size`` pixels."""
    if faces_T6CSS.shape[-1] <= size:
        return faces_T6CSS
    small = shrink(faces_T6CSS.flatten(0, 1), faces_T6CSS.shape[-1] / size)
    return small.reshape(*faces_T6CSS.shape[:3], *small.shape[-2:])


def _shrink_erp(erp_TCHW: Tensor, height: int) -> Tensor:
    """An ERP of at most ``height`` rows, antialiased across its edges too: they are wrapped before it is shrunk."""
    old = erp_TCHW.shape[-2]
    if old <= height:
        return erp_TCHW
    unit = old // math.gcd(old, height)  # so many rows become a whole number of rows
    border = unit * math.ceil((old / height + 1) / unit)
    small = border * height // old
    shrunk = resize(_wrap_erp(erp_TCHW, border), height + 2 * small, 2 * height + 2 * small)
    return shrunk[..., small : small + height, small : small + 2 * height]


# Grids of fixed sizes are kept, as they are used for every chunk: read only, on the CPU, float32.


@lru_cache(maxsize=8)
def _faces_in_erp(size: int, height: int) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        return _erp_grid(torch.cat([rays(face, size) for face in FACES]), height)


@lru_cache(maxsize=8)
def _erp_in_atlas(size: int, height: int) -> Tensor:
    with torch.inference_mode(False), torch.no_grad():
        yaw, pitch = centres(2 * height) * math.pi, -centres(height)[:, None] * math.pi / 2
        x, z = -pitch.cos() * yaw.sin(), pitch.cos() * yaw.cos()
        return atlas_grid(torch.stack([x, pitch.sin().expand_as(x), z], dim=-1), size).float()


def _tangent(camera_4: Tensor) -> Tensor:
    """Half the width of the view at distance 1."""
    return torch.tan(torch.deg2rad(camera_4[3]) / 2)


def _quarter_turn(camera_4: Tensor, width: int) -> float:
    """How many of its pixels a view has for 90 degrees: at its middle, or on average where that is more (if wide)."""
    camera_4 = camera_4.detach()
    return max(width / float(_tangent(camera_4)), width * 90 / float(camera_4[3]))


def _runs(cameras_T4: Tensor) -> list[tuple[int, int]]:
    """Stretches of frames whose camera stands still, as (start, stop)."""
    moves = (cameras_T4[1:] != cameras_T4[:-1]).any(dim=1).nonzero().flatten().tolist()
    marks = [0, *(move + 1 for move in moves), len(cameras_T4)]
    return list(zip(marks[:-1], marks[1:], strict=True))


def _check_cameras(pictures: Tensor, cameras_T4: Tensor) -> None:
    if cameras_T4.shape != (len(pictures), 4):
        raise UserError(
            f"expected one camera (roll, pitch, yaw, fov) for each of {len(pictures)} frames,"
            f" got a tensor of shape {tuple(cameras_T4.shape)}"
        )
    fov = cameras_T4[:, 3]
    if not bool(torch.isfinite(cameras_T4).all() & (fov > 0).all() & (fov < 180).all()):
        raise UserError("cameras must be finite, with a field of view between 0 and 180 degrees (both excluded)")
