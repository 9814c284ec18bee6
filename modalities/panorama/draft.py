"""A first draft of the world around a view: the view itself, laid on over and over, mirrored.

To the sides the view is mirrored at its edges, so often that what meets at the back is the same; upwards and downwards
the directions go to and fro in the view's uppermost or lowest part, ever softer, so that there is sky above and ground
below.
Azimuth and elevation are the world's, so the horizon stays level however the camera is held. The network is told the
draft as what is around (with the mask GUESS) where nothing better is known, and draws the world anew from it.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from unreel.modalities.panorama.cubemap import FACES, crop_faces, pad_faces, rays
from unreel.modalities.panorama.sampler import atlas, atlas_grid, sample

GUESS = 0.25  # what the mask says of pixels that are a draft
BAND = 0.15  # the share of the view's height that is repeated above and below it
FADE = 0.6  # radians above the view by which nothing but its soft colours is left
GROUND = 0.7  # how much of that is so below it, where there is mostly something to stand on
SOFT = 17  # pixels over which what will be seen passes into the draft
INSET = 0.94  # the outermost edge of the view is not mirrored: it is soft, and its corners bend away


def draft(view_64PP: Tensor, pose_5: Tensor, pad: int) -> Tensor:
    """Padded canvases (6, 4, P, P), RGB times mask, and mask (0 or GUESS), of a view on canvases like these.

    ``view`` is RGB times coverage, and coverage, of one frame; ``pose`` its camera: roll, pitch, yaw, fov_x and fov_y
    in degrees (not a number: there is no view, and the draft is empty).
    """
    if not bool(torch.isfinite(pose_5).all()):
        return torch.zeros_like(view_64PP)
    faces = crop_faces(view_64PP[None].float(), pad)
    size = faces.shape[-1]
    directions = torch.stack([rays(face, size) for face in FACES])
    inside, beyond = folded(directions, pose_5)
    grid = atlas_grid(inside.flatten(0, 1), size)
    sharp, soft = (_known(sample(atlas(x), grid)[0].unflatten(1, (6, size))) for x in (faces, _softened(faces)))
    far = (beyond / FADE).clamp(0, 1) + GROUND * (-beyond / FADE).clamp(0, 1)
    colour, mask = sharp[:3] + far * soft[3:] * (soft[:3] - sharp[:3]), sharp[3:]
    for part in (beyond > 0, beyond < 0):  # the poles are of one colour: what meets there comes from all around
        weight = mask * part
        mean = (sharp[:3] * weight).sum((1, 2, 3), keepdim=True) / weight.sum().clamp(min=1)
        colour = colour + part * (beyond.abs() / FADE - 1).clamp(0, 1) * (mean - colour)
    canvas = pad_faces(torch.cat((colour * mask, GUESS * mask)).transpose(0, 1)[None], pad)[0]
    return canvas.to(view_64PP.dtype)


def _known(picture_4HW: Tensor) -> Tensor:
    """Colours where at least half is known, and 1 there."""
    colour, cover = picture_4HW.split((3, 1))
    mask = (cover > 0.5).float()
    return torch.cat((colour / cover.clamp(min=0.5) * mask, mask))


def _softened(faces_T64SS: Tensor) -> Tensor:
    """Faces so soft that only their colours are left, unknown parts taking them from what is known near them."""
    small = max(1, faces_T64SS.shape[-1] // 4)
    colour = F.interpolate(
        F.avg_pool2d(faces_T64SS.flatten(0, 1), small),
        size=faces_T64SS.shape[-2:],
        mode="bilinear",
        align_corners=False,
    ).view_as(faces_T64SS)
    cover = colour[:, :, 3:]
    return torch.cat((colour[:, :, :3] / cover.clamp(min=0.02), torch.ones_like(cover)), 2) * (cover > 0.02)


def folded(directions_3: Tensor, pose_5: Tensor) -> tuple[Tensor, Tensor]:
    """For unit directions (..., 3), those inside the view that stand for them; and how far above or below it they
    are (radians; negative below, 0 beside it).
    """
    roll, pitch, yaw, fov_x, fov_y = (math.radians(float(x)) for x in pose_5)
    lean, upright = abs(math.sin(roll)), abs(math.cos(roll))
    half_x = INSET * (fov_x * upright + fov_y * lean) / 2
    half_y = INSET * (fov_y * upright + fov_x * lean) / 2
    x, y, z = directions_3.unbind(-1)
    azimuth = torch.remainder(torch.atan2(-x, z) - yaw + math.pi, 2 * math.pi) - math.pi
    turns = max(1, 2 * round(((math.pi - half_x) / half_x - 1) / 2) + 1)  # odd: the middle of the view lies at the back
    beyond = (azimuth.abs() - half_x).clamp(min=0) * turns / (math.pi - half_x)
    swung = half_x * (1 - _bounce(beyond, 2.0))
    azimuth = torch.where(azimuth.abs() > half_x, azimuth.sign() * swung, azimuth) + yaw
    tall = torch.atan(math.tan(half_y) * (azimuth - yaw).cos())  # a frame is lower towards its sides
    low, high = (pitch - tall).clamp(min=-math.pi / 2), (pitch + tall).clamp(max=math.pi / 2)
    band = BAND * (high - low)
    wanted = torch.asin(y.clamp(-1, 1))
    elevation = torch.minimum(torch.maximum(wanted, low), high)
    elevation = elevation - _bounce((wanted - high).clamp(min=0), band) + _bounce((low - wanted).clamp(min=0), band)
    level = elevation.cos()
    inside = torch.stack((-level * azimuth.sin(), elevation.sin(), level * azimuth.cos()), -1)
    return inside, (wanted - high).clamp(min=0) - (low - wanted).clamp(min=0)


def _bounce(x: Tensor, span: Tensor | float) -> Tensor:
    """0..span and back again, for rising ``x`` from 0."""
    return span - (torch.remainder(x, 2 * span) - span).abs()


def joined(seen_64PP: Tensor, draft_64PP: Tensor) -> Tensor:
    """The draft with what the view will show later (RGB and 1 where it is seen) laid over it, with a soft edge."""
    inner = F.avg_pool2d(seen_64PP[:, 3:], SOFT, stride=1, padding=SOFT // 2, count_include_pad=False)
    share = (2 * inner - 1).clamp(0, 1) * seen_64PP[:, 3:]
    share = torch.where(draft_64PP[:, 3:] > 0, share, seen_64PP[:, 3:])
    colour = torch.lerp(draft_64PP[:, :3].float(), seen_64PP[:, :3], share)
    return torch.cat((colour, torch.maximum(draft_64PP[:, 3:].float(), GUESS * seen_64PP[:, 3:])), 1)


def drafted(around_T4PP: Tensor, draft_4PP: Tensor) -> Tensor:
    """What is made around a face, with the draft where nothing is."""
    return torch.where(around_T4PP[:, 3:] > 0, around_T4PP, draft_4PP.to(around_T4PP.dtype))
