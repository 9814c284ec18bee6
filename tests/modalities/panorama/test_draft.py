"""The draft of the world around a view: the view where it is, copies of it everywhere else."""

from __future__ import annotations

import math

import pytest
import torch

from unreel.modalities.panorama.cubemap import FACES, crop_faces, pad_faces, rays
from unreel.modalities.panorama.draft import GUESS, draft, drafted, folded
from unreel.modalities.panorama.panorama.trainer import draft_of, seen


def angles(directions: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    x, y, z = directions.unbind(-1)
    return torch.rad2deg(torch.atan2(-x, z)), torch.rad2deg(torch.asin(y.clamp(-1, 1)))


@pytest.mark.parametrize(
    "pose", [(0.0, 0.0, 0.0, 90.0, 90.0), (0.0, 20.0, 170.0, 60.0, 45.0), (90.0, 0.0, -30.0, 70.0, 50.0)]
)
def test_every_direction_stands_for_one_inside_the_view(pose: tuple[float, ...]):
    directions = torch.stack([rays(face, 32) for face in FACES])
    azimuth, elevation = angles(folded(directions, torch.tensor(pose))[0])
    wide, high = (pose[4], pose[3]) if pose[0] == 90 else (pose[3], pose[4])
    assert (torch.remainder(azimuth - pose[2] + 180, 360) - 180).abs().max() < wide / 2
    assert (elevation - pose[1]).abs().max() < high / 2


def test_inside_the_view_nothing_moves_and_the_horizon_stays():
    directions = rays("F", 32)
    inside = directions[12:20, 12:20]
    assert torch.allclose(folded(inside, torch.tensor([0.0, 0.0, 0.0, 90.0, 70.0]))[0], inside, atol=1e-5)
    level = torch.stack([torch.tensor([-math.sin(a), 0.0, math.cos(a)]) for a in (0.1, 1.0, 2.0, 3.0, -2.5)])
    assert folded(level, torch.tensor([0.0, 10.0, 40.0, 90.0, 70.0]))[0][:, 1].abs().max() < 1e-6


def test_a_plain_view_fills_the_world():
    cameras = torch.tensor([[0.0, 0.0, 0.0, 90.0]])
    views = seen(torch.full((1, 3, 48, 64), 0.4), cameras, 32)
    canvas = draft_of(views, cameras, 48 / 64, 1, 4)
    colour, mask = canvas.split((3, 1), 1)
    assert canvas.shape == (6, 4, 40, 40)
    assert (mask == GUESS).float().mean() > 0.95
    assert torch.allclose(colour[mask.expand_as(colour) > 0], torch.tensor(0.4), atol=1e-3)


def test_no_view_no_draft_and_what_is_made_stays():
    view = pad_faces(torch.rand(1, 6, 4, 16, 16), 2)[0]
    nothing = draft(view, torch.full((5,), math.nan), 2)
    assert nothing.shape == view.shape
    assert nothing.abs().max() == 0
    around = torch.zeros(2, 4, 20, 20)
    around[..., :2, :] = 0.5
    both = drafted(around, torch.full((4, 20, 20), GUESS))
    assert both[0, 3].unique().tolist() == [GUESS, 0.5]
    assert torch.equal(both[..., :2, :], around[..., :2, :])
    assert crop_faces(view, 2).shape[-1] == 16
