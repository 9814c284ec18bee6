"""How others lay six faces in one picture: FFmpeg's cubemaps, Google's `cbmp`, YouTube's equi-angular cubemap.

- ``c3x2``, ``c6x1``: FFmpeg's ``v360`` with its default order ``rludfb``; U and D stand as ours do.
- ``cbmp``: Google's Spherical Video V2, layout 0, as 3 x 2 without padding: the same order, but the top of U is forward
  and the top of D is back, so both are turned by half against ours (``v360=...:out_frot=002200``).
- ``eac``: equi-angular, 3 x 2, ``L F R`` over ``D B U`` turned so that each row is continuous; in each axis of a tile a
  pixel at -1..1 looks tan(pi/4 of it) to the side, that is u = 2/pi atan(x) + 1/2. As in ``v360``, 2 pixels of border
  go around each row of tiles, so that a scaled or compressed picture does not bleed from one row into the other.
"""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.panorama.cube import FACES, axes, centres
from unreel.modalities.panorama.sampler import atlas, atlas_grid, resize, sample, shrink

Tiles = tuple[tuple[tuple[str, int], ...], ...]  # rows of (face, quarter turns counterclockwise)

GRIDS: dict[str, Tiles] = {
    "c3x2": ((("R", 0), ("L", 0), ("U", 0)), (("D", 0), ("F", 0), ("B", 0))),
    "c6x1": ((("R", 0), ("L", 0), ("U", 0), ("D", 0), ("F", 0), ("B", 0)),),
    "cbmp": ((("R", 0), ("L", 0), ("U", 2)), (("D", 2), ("F", 0), ("B", 0))),
}
EAC: Tiles = ((("L", 0), ("F", 0), ("R", 0)), (("D", 1), ("B", 3), ("U", 1)))
EAC_BORDER = 2  # pixels


def grid_from_faces(faces_T6CSS: Tensor, layout: str) -> Tensor:
    """Faces (T, 6, C, S, S) laid in one picture (T, C, rows S, columns S), ``layout`` being one of `GRIDS`."""
    rows = []
    for row in _tiles(layout):
        tiles = [faces_T6CSS[:, FACES.index(face)].rot90(turns, (-2, -1)) for face, turns in row]
        rows.append(torch.cat(tiles, dim=-1))
    return torch.cat(rows, dim=-2)


def faces_from_grid(picture_TCHW: Tensor, layout: str) -> Tensor:
    """The faces (T, 6, C, S, S) of a picture that holds them in ``layout``, one of `GRIDS`."""
    tiles = _tiles(layout)
    height, width = picture_TCHW.shape[-2:]
    size = height // len(tiles)
    if size == 0 or (height, width) != (len(tiles) * size, len(tiles[0]) * size):
        raise UserError(f"a {layout} picture is {len(tiles[0])} x {len(tiles)} square faces, got {width}x{height}")
    faces: dict[str, Tensor] = {}
    for y, row in enumerate(tiles):
        for x, (face, turns) in enumerate(row):
            tile = picture_TCHW[..., y * size : (y + 1) * size, x * size : (x + 1) * size]
            faces[face] = tile.rot90(-turns, (-2, -1))
    return torch.stack([faces[face] for face in FACES], dim=1)


def eac_from_faces(faces_T6CSS: Tensor, height: int) -> Tensor:
    """Faces (T, 6, C, S, S) as an equi-angular picture (T, C, height, 3/2 height); ``height`` is even, 12 or more."""
    size = faces_T6CSS.shape[-1]
    _check_eac(height, 3 * height // 2)
    if height // 2 < size:  # antialiased: a row of tiles is lower than a face
        faces_T6CSS = resize(faces_T6CSS.flatten(0, 1), height // 2, height // 2).unflatten(0, (-1, 6))
        size = height // 2
    return sample(atlas(faces_T6CSS), _eac_in_atlas(height, size))


def faces_from_eac(picture_TCHW: Tensor, size: int) -> Tensor:
    """The faces (T, 6, C, size, size) of an equi-angular picture (T, C, H, 3/2 H)."""
    height, width = picture_TCHW.shape[-2:]
    _check_eac(height, width)
    finer = (height / 2 - 2 * EAC_BORDER) / size
    faces: dict[str, Tensor] = {}
    for row, grid, picture in zip(EAC, _faces_in_eac(size, height), picture_TCHW.chunk(2, dim=-2), strict=True):
        flat = sample(shrink(picture, finer), grid)  # each row by itself: nothing bleeds from one into the other
        for (face, _), seen in zip(row, flat.chunk(3, dim=-2), strict=True):
            faces[face] = seen
    return torch.stack([faces[face] for face in FACES], dim=1)


@lru_cache(maxsize=4)
def _eac_in_atlas(height: int, size: int) -> Tensor:
    """Where each pixel of an equi-angular picture lies in the atlas of faces of ``size`` pixels."""
    with torch.inference_mode(False), torch.no_grad():
        width = 3 * height // 2
        across = (torch.arange(width, dtype=torch.float64) + 0.5 - EAC_BORDER) / (width - 2 * EAC_BORDER) * 3
        column = across.floor().clamp(0, 2).long()
        tall = height // 2
        within = (torch.arange(tall, dtype=torch.float64) + 0.5 - EAC_BORDER) / (tall - 2 * EAC_BORDER)
        right, down = _tan(2 * (across - column) - 1), _tan(2 * within - 1)
        rows = [_directions(row, column, right, down) for row in EAC]
        return atlas_grid(torch.cat(rows), size).float()


def _directions(row: tuple[tuple[str, int], ...], column: Tensor, right: Tensor, down: Tensor) -> Tensor:
    """Where the pixels of one row of tiles look: (height, width, 3)."""
    vectors = []
    for face, turns in row:
        forward, to_right, to_down = axes()[FACES.index(face)]
        for _ in range(turns % 4):  # the picture turned counterclockwise: what was right is up now
            to_right, to_down = to_down, -to_right
        vectors.append(torch.stack([forward, to_right, to_down]))
    forward, to_right, to_down = torch.stack(vectors)[column].unbind(1)
    return forward + right[:, None] * to_right + down[:, None, None] * to_down


@lru_cache(maxsize=4)
def _faces_in_eac(size: int, height: int) -> Tensor:
    """Where the pixels of the faces lie in their row of an equi-angular picture: (2 rows, 3 size, size, 2)."""
    with torch.inference_mode(False), torch.no_grad():
        width, tall = 3 * height // 2, height // 2
        angle = torch.atan(centres(size)) * 4 / math.pi  # -1..1 across a tile
        grids = []
        for row in EAC:
            for column, (_, turns) in enumerate(row):
                v, u = torch.meshgrid(angle, angle, indexing="ij")
                for _ in range(turns % 4):  # counterclockwise: what was right is up now
                    u, v = v, -u
                left = EAC_BORDER + (column + (u + 1) / 2) * (width - 2 * EAC_BORDER) / 3
                top = EAC_BORDER + (v + 1) / 2 * (tall - 2 * EAC_BORDER)
                grids.append(torch.stack([2 * left / width - 1, 2 * top / tall - 1], dim=-1))
        return torch.cat(grids).reshape(2, 3 * size, size, 2).float()


def _tan(share: Tensor) -> Tensor:
    """From -1..1 across a tile to -1..1 across a face; in the border beyond, the angle goes on."""
    return torch.tan(share * math.pi / 4)


def _tiles(layout: str) -> Tiles:
    if layout not in GRIDS:
        raise UserError(f"a layout of faces is one of {', '.join(GRIDS)}, got {layout!r}")
    return GRIDS[layout]


def _check_eac(height: int, width: int) -> None:
    if height % 2 or height < 12 or 2 * width != 3 * height:
        raise UserError(f"an equi-angular cubemap is 3 wide to 2 high, with an even height, got {width}x{height}")
