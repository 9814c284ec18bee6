"""Layouts in and out: nothing is lost, nothing is turned; test_v360 says that they are what others mean by them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.panorama.cubemap import FACES, rays
from unreel.modalities.panorama.layouts import GRIDS, eac_from_faces, faces_from_eac, faces_from_grid, grid_from_faces


def directions(size: int) -> Tensor:
    """Six faces whose colour is where they look."""
    return torch.stack([rays(face, size) for face in FACES]).permute(0, 3, 1, 2)[None]


@pytest.mark.parametrize("layout", list(GRIDS))
def test_grids_lose_nothing(layout: str) -> None:
    faces = torch.rand(2, 6, 3, 8, 8)
    picture = grid_from_faces(faces, layout)
    assert picture.shape == (2, 3, 8 * len(GRIDS[layout]), 8 * len(GRIDS[layout][0]))
    assert torch.equal(faces_from_grid(picture, layout), faces)


def test_cbmp_stands_as_google_says() -> None:
    """Spherical Video V2: right left up / down front back; up's top is forwards, down's top is to the back."""
    picture = grid_from_faces(directions(9), "cbmp")[0]
    middle = [[picture[:, 4 + 9 * y, 4 + 9 * x].round().tolist() for x in range(3)] for y in range(2)]
    assert middle == [[[-1, 0, 0], [1, 0, 0], [0, 1, 0]], [[0, -1, 0], [0, 0, 1], [0, 0, -1]]]
    assert picture[2, 0, 4 + 18] > 0.5  # the top of U looks forward
    assert picture[2, 9, 4] < -0.5  # the top of D looks back


def test_equi_angular_pixels_are_equal_angles() -> None:
    height = 132  # (198 - 4) / 3 columns per tile
    picture = eac_from_faces(directions(256), height)[0]
    row = picture[:, 33, 2 + 66 : 2 + 128].double()  # across F, near its middle line
    row = row / row.norm(dim=0)
    angles = torch.rad2deg(torch.acos((row[:, 1:] * row[:, :-1]).sum(0).clamp(-1, 1)))
    assert float(angles.max() / angles.min()) < 1.1
    assert float(angles.mean()) == pytest.approx(90 / (194 / 3), rel=0.02)


def test_equi_angular_rows_are_continuous() -> None:
    picture = eac_from_faces(directions(64), 128)[0]
    for rows in (picture[:, :64], picture[:, 64:]):
        assert float(rows.diff(dim=2).norm(dim=0).max()) < 1.3 * (math.pi / 2) / 62
        assert float(rows.diff(dim=1).norm(dim=0).max()) < 1.3 * (math.pi / 2) / 60
    assert float((picture[:, 63] - picture[:, 64]).norm(dim=0).max()) > 0.5  # between rows nothing is


@pytest.mark.parametrize(("size", "height"), [(64, 128), (64, 256), (64, 512), (96, 128)])
def test_equi_angular_round_trip(size: int, height: int) -> None:
    faces = directions(size)
    back = faces_from_eac(eac_from_faces(faces, height), size)
    assert back.shape == faces.shape
    assert float((back - faces).abs().max()) < 2.5 / min(size, height // 2)
    assert float(((back - faces) ** 2).mean().sqrt()) < 0.004


def test_gradients_pass_through_the_equi_angular_sampler() -> None:
    faces = torch.rand(1, 6, 1, 3, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda faces: eac_from_faces(faces, 12), faces)


def test_errors_say_what_came() -> None:
    with pytest.raises(UserError, match="one of c3x2, c6x1, cbmp, got 'c1x6'"):
        grid_from_faces(torch.zeros(1, 6, 3, 4, 4), "c1x6")
    with pytest.raises(UserError, match="3 x 2 square faces, got 13x8"):
        faces_from_grid(torch.zeros(1, 3, 8, 13), "c3x2")
    with pytest.raises(UserError, match="3 wide to 2 high"):
        faces_from_eac(torch.zeros(1, 3, 20, 40), 8)
    with pytest.raises(UserError, match="even height"):
        eac_from_faces(torch.zeros(1, 6, 3, 8, 8), 13)
