"""What a generated world is measured against: the view mirrored until the sphere is full, and a world seen before."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, interpolate, pad

from unreel.benchmarks._panorama import Sight, erp_rays, projected
from unreel.modalities.panorama.cubemap import camera_to_world, erp_from_faces, faces_from_erp
from unreel.modalities.panorama.sampler import sample, shrink

COARSE = 16  # rows of the panoramas that are compared: so few that colours and places decide, not texture


def mirrored(view: dict[str, Any], size: int) -> Tensor:
    """Faces (1, 6, 3, S, S): the first frame of a level camera's view, mirrored at its edges over and over.

    In the world's azimuth and elevation, so that the horizon stays level. A view of half angles x and y, pitched by p,
    reaches from atan(cos(azimuth) tan(p - y)) to atan(cos(azimuth) tan(p + y)); its narrower end decides how far to the
    sides it is used, and mirrored copies are stretched a little so that both sides meet at the back. Towards the poles
    circles shrink, so there every row is averaged over as many columns as one pixel of the equator spans.

    Raises ValueError for a camera that rolls or sees a pole.
    """
    picture, camera = view["frames"][:1].movedim(-1, 1).float(), view["cameras"][0]
    roll, pitch, yaw, fov = (math.radians(float(angle)) for angle in camera)
    wide = math.tan(fov / 2)
    tall = math.atan(wide * picture.shape[-2] / picture.shape[-1])
    if roll or abs(pitch) + tall >= math.pi / 2:
        raise ValueError(f"a view that is mirrored neither rolls nor sees a pole, got the camera {camera.tolist()}")
    ends = [math.sin(pitch) * math.tan(pitch + way * tall) for way in (-1, 1)]
    side = math.atan(wide * (math.cos(pitch) + min(ends)))
    x, y, z = erp_rays(2 * size).unbind(-1)
    azimuth = torch.remainder(torch.atan2(-x, z) - yaw + math.pi, 2 * math.pi) - math.pi
    azimuth = _fold(torch.where(azimuth.abs() > side, _stretched(azimuth, side), azimuth), side)
    low, high = (torch.atan(azimuth.cos() * math.tan(pitch + way * tall)) for way in (-1, 1))
    elevation = (low + high) / 2 + _fold(torch.asin(y.clamp(-1, 1)) - (low + high) / 2, (high - low) / 2)
    level, turned = elevation.cos(), azimuth + yaw
    seen = torch.stack((-level * turned.sin(), elevation.sin(), level * turned.cos()), -1)
    across, up, depth = (seen @ camera_to_world(camera)).unbind(-1)
    grid = torch.stack((-across / depth / wide, -up / depth / math.tan(tall)), -1)
    erp = _averaged(sample(shrink(picture, picture.shape[-1] / wide / size), grid))  # no finer than the faces
    return _pasted(faces_from_erp(erp, size), view, size)


def nearest(view: dict[str, Any], stock: list[Sight], size: int) -> tuple[Tensor, str]:
    """Faces (1, 6, 3, S, S) of the panorama that is nearest to a view's first frame, and its name.

    The least squared difference of colours inside the view, over all panoramas and turns about the vertical; the view
    is pasted in.
    """
    colours, seen = projected({name: value[:1] for name, value in view.items()}, size)
    mask = (erp_from_faces(seen[:, :, None], COARSE)[0] > 0.99).float()
    given = erp_from_faces(colours, COARSE)[0] * mask
    small = torch.stack([interpolate(s.picture_3HW[None].float(), (COARSE, 2 * COARSE), mode="area")[0] for s in stock])
    turned = torch.stack([given.roll(turn, -1).flatten() for turn in range(2 * COARSE)])
    masks = torch.stack([mask.expand(3, -1, -1).roll(turn, -1).flatten() for turn in range(2 * COARSE)])
    apart = masks @ (small**2).flatten(1).T - 2 * turned @ small.flatten(1).T  # and the view's own squares: the same
    turn, index = divmod(int(apart.argmin()), len(stock))
    found = stock[index].picture_3HW.float()
    back = found.roll(-turn * found.shape[-1] // (2 * COARSE), -1)
    return _pasted(faces_from_erp(back[None], size), view, size), stock[index].name


def _pasted(faces: Tensor, view: dict[str, Any], size: int) -> Tensor:
    colours, seen = projected({name: value[:1] for name, value in view.items()}, size)
    cover = seen[:, :, None]
    return (cover * colours + (1 - cover) * faces).round().clamp(0, 255)


def _stretched(azimuth: Tensor, side: float) -> Tensor:
    """Azimuths outside the view, scaled so that mirroring shows the view's middle at the back."""
    rest = math.pi - side
    turns = 2 * round((rest / side - 1) / 2) + 1
    return azimuth.sign() * (side + (azimuth.abs() - side) * turns * side / rest)


def _fold(angle: Tensor, half: Tensor | float) -> Tensor:
    """To and fro between -half and half: a triangle wave that is the angle itself in the middle."""
    return half - (torch.remainder(angle + half, 4 * half) - 2 * half).abs()


def _averaged(erp_TCHW: Tensor) -> Tensor:
    """Every row averaged over as many pixels as its circle is shorter than the equator."""
    height, width = erp_TCHW.shape[-2:]
    made = erp_TCHW.clone()
    for row in range(height):
        span = round(1 / math.cos(math.pi * ((row + 0.5) / height - 0.5)))
        half = min(span, width - 1) // 2
        if half:
            line = pad(erp_TCHW[..., row, :], (half, half), mode="circular")
            made[..., row, :] = avg_pool1d(line, 2 * half + 1, stride=1)
    return made
