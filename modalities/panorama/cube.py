"""The cube itself: six faces seen from inside, their axes, their edges, each padded by its true neighbours.

The convention is told in `unreel.modalities.panorama.cubemap`. What is cached is shared: read only.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from unreel.engine.errors import UserError

FACES = "FRBLUD"
EDGES = ("top", "right", "bottom", "left")

# NEIGHBOURS[face][edge] = (that neighbour, its edge along the seam, quarter turns that lay it beside the face).
# Turns are those of torch.rot90(picture, turns, (-2, -1)): positive is counterclockwise. tests derive it from `rays`.
NEIGHBOURS: dict[str, dict[str, tuple[str, str, int]]] = {
    "F": {"top": ("U", "bottom", 0), "right": ("R", "left", 0), "bottom": ("D", "top", 0), "left": ("L", "right", 0)},
    "R": {"top": ("U", "right", -1), "right": ("B", "left", 0), "bottom": ("D", "right", 1), "left": ("F", "right", 0)},
    "B": {"top": ("U", "top", 2), "right": ("L", "left", 0), "bottom": ("D", "bottom", 2), "left": ("R", "right", 0)},
    "L": {"top": ("U", "left", 1), "right": ("F", "left", 0), "bottom": ("D", "left", -1), "left": ("B", "right", 0)},
    "U": {"top": ("B", "top", 2), "right": ("R", "top", 1), "bottom": ("F", "top", 0), "left": ("L", "top", -1)},
    "D": {
        "top": ("F", "bottom", 0),
        "right": ("R", "bottom", -1),
        "bottom": ("B", "bottom", 2),
        "left": ("L", "bottom", 1),
    },
}

# Per face: where it looks, its picture's right and its picture's down, in world axes.
_AXES = {
    "F": ((0, 0, 1), (-1, 0, 0), (0, -1, 0)),
    "R": ((-1, 0, 0), (0, 0, -1), (0, -1, 0)),
    "B": ((0, 0, -1), (1, 0, 0), (0, -1, 0)),
    "L": ((1, 0, 0), (0, 0, 1), (0, -1, 0)),
    "U": ((0, 1, 0), (-1, 0, 0), (0, 0, 1)),
    "D": ((0, -1, 0), (-1, 0, 0), (0, 0, -1)),
}


def axes() -> Tensor:
    """Per face (6, 3 vectors, 3): where it looks, its picture's right, its picture's down; world axes, float64."""
    return torch.tensor([_AXES[face] for face in FACES], dtype=torch.float64)


@lru_cache(maxsize=8)
def points(size: int) -> Tensor:
    """The pixel centres of all faces on the surface of the cube [-1, 1]^3: (6, size, size, 3), float64."""
    with torch.inference_mode(False), torch.no_grad():
        forward, right, down = axes()[:, :, None, None].unbind(1)
        across = centres(size)
        surface: Tensor = forward + across[None, :, None] * right + across[:, None, None] * down
        return surface


@lru_cache(maxsize=16)
def rays(face: str, size: int) -> Tensor:
    """Unit directions in the world through the pixel centres of a face: (size, size, 3), float32. Shared: read only."""
    with torch.inference_mode(False), torch.no_grad():
        directions = points(size)[FACES.index(face)]
        unit: Tensor = (directions / directions.norm(dim=-1, keepdim=True)).float()
        return unit


def pad_faces(faces_T6CSS: Tensor, pad: int) -> Tensor:
    """Every face on a larger canvas, (T, 6, C, S + 2 pad, S + 2 pad), the border being what its neighbours show.

    Exact copies of the neighbours' own pixels, turned by the edge table; a corner, where there is no fourth face,
    repeats the nearest pixel of the border strips beside it. Works for every dtype.
    """
    size = faces_T6CSS.shape[-1]
    canvas = size + 2 * pad
    flat = faces_T6CSS.transpose(1, 2).flatten(2)
    padded = flat.index_select(2, _padded_from(size, pad).to(flat.device))
    return padded.reshape(*flat.shape[:2], 6, canvas, canvas).transpose(1, 2)


def pad_face(faces_T6CSS: Tensor, face: str, pad: int) -> Tensor:
    """One of the canvases of `pad_faces`, (T, C, S + 2 pad, S + 2 pad), at a sixth of the work."""
    canvas = faces_T6CSS.shape[-1] + 2 * pad
    source = _padded_from(faces_T6CSS.shape[-1], pad).reshape(6, -1)[FACES.index(face)]
    flat = faces_T6CSS.transpose(1, 2).flatten(2)
    return flat.index_select(2, source.to(flat.device)).reshape(*flat.shape[:2], canvas, canvas)


def crop_faces(canvases_T6CPP: Tensor, pad: int) -> Tensor:
    """The faces in the middle of padded canvases; a view of the same memory."""
    stop = canvases_T6CPP.shape[-1] - pad
    return canvases_T6CPP[..., pad:stop, pad:stop]


@lru_cache(maxsize=8)
def _padded_from(size: int, pad: int) -> Tensor:
    """For every pixel of six canvases, which of the 6 size size face pixels it repeats."""
    if not 0 <= pad <= size:
        raise UserError(f"padding must be between 0 and the face's {size} pixels, got {pad}")
    with torch.inference_mode(False), torch.no_grad():
        ids = torch.arange(6 * size * size).reshape(6, size, size)
        end, canvas = size + pad, torch.zeros(6, size + 2 * pad, size + 2 * pad, dtype=torch.long)
        canvas[:, pad:end, pad:end] = ids
        for index, face in enumerate(FACES):
            beside = {
                edge: ids[FACES.index(other)].rot90(turns) for edge, (other, _, turns) in NEIGHBOURS[face].items()
            }
            canvas[index, :pad, pad:end] = beside["top"][size - pad :]
            canvas[index, end:, pad:end] = beside["bottom"][:pad]
            canvas[index, pad:end, :pad] = beside["left"][:, size - pad :]
            canvas[index, pad:end, end:] = beside["right"][:, :pad]
        place = torch.arange(size + 2 * pad)
        inner = place.clamp(pad, end - 1)
        outside = (place - inner).abs()
        sideways = (outside[None, :] <= outside[:, None]) & (
            outside[:, None] > 0
        )  # corner: from the top or bottom strip
        upright = (outside[None, :] > outside[:, None]) & (outside[:, None] > 0)
        rows = torch.where(upright, inner[:, None], place[:, None])
        columns = torch.where(sideways, inner[None, :], place[None, :])
        return canvas[:, rows, columns].flatten()


def centres(count: int) -> Tensor:
    """Pixel centres of a line of ``count`` pixels that spans -1..1; float64."""
    return (torch.arange(count, dtype=torch.float64) * 2 + 1) / count - 1
