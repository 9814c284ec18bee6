"""The one sampler: bilinear and differentiable; the atlas of faces it reads; antialiased shrinking.

Grids are those of ``grid_sample`` with ``align_corners=False``: -1 and 1 are a picture's outer edges.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from unreel.modalities.panorama.cube import axes, pad_faces


def sample(picture_TCHW: Tensor, grid_HW2: Tensor) -> Tensor:
    """Bilinear samples of every frame at the same places; half precision is computed in float32."""
    dtype = torch.promote_types(picture_TCHW.dtype, torch.float32)
    flat = picture_TCHW.to(dtype).flatten(0, 1)[None]
    grid = grid_HW2.to(flat)[None]
    sampled = functional.grid_sample(flat, grid, mode="bilinear", padding_mode="border", align_corners=False)
    return sampled.reshape(*picture_TCHW.shape[:2], *grid_HW2.shape[:2]).to(picture_TCHW.dtype)


def atlas(faces_T6CSS: Tensor) -> Tensor:
    """The six faces side by side, (T, C, S + 2, 6 (S + 2)), each with one pixel of its true neighbours.

    A corner pixel is the mean of the three faces that meet there, so that all three agree about the corner.
    """
    bordered = pad_faces(faces_T6CSS, 1).contiguous()
    for y, x, inner_y, inner_x in ((0, 0, 1, 1), (0, -1, 1, -2), (-1, 0, -2, 1), (-1, -1, -2, -2)):
        beside = bordered[..., y, inner_x] + bordered[..., inner_y, x] + bordered[..., inner_y, inner_x]
        bordered[..., y, x] = beside / 3
    return bordered.permute(0, 2, 3, 1, 4).flatten(3)


def atlas_grid(directions_HW3: Tensor, size: int) -> Tensor:
    """Where directions lie in the atlas of faces of ``size`` pixels."""
    forward, right, down = axes().to(directions_HW3).unbind(1)
    face = (directions_HW3 @ forward.T).argmax(dim=-1)
    depth = (directions_HW3 * forward[face]).sum(-1)
    u = ((directions_HW3 * right[face]).sum(-1) / depth).clamp(-1, 1)
    v = ((directions_HW3 * down[face]).sum(-1) / depth).clamp(-1, 1)
    tile = size + 2
    x = face * tile + 1 + (u + 1) / 2 * size
    y = 1 + (v + 1) / 2 * size
    return torch.stack([x / (3 * tile) - 1, 2 * y / tile - 1], dim=-1)


def resize(picture_TCHW: Tensor, height: int, width: int) -> Tensor:
    """The picture at another size, antialiased where it shrinks; half precision is computed in float32."""
    wide = picture_TCHW.to(torch.promote_types(picture_TCHW.dtype, torch.float32))
    made = functional.interpolate(wide, (height, width), mode="bilinear", antialias=True, align_corners=False)
    return made.to(picture_TCHW.dtype)


def shrink(picture_TCHW: Tensor, factor: float) -> Tensor:
    """The picture ``factor`` times smaller, antialiased; itself if the factor is not above 1."""
    if factor <= 1:
        return picture_TCHW
    height, width = picture_TCHW.shape[-2:]
    return resize(picture_TCHW, max(1, round(height / factor)), max(1, round(width / factor)))
