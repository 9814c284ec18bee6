"""The axes of the faces, the edge table and the padding by true neighbours, all told by the rays."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.modalities.panorama.cubemap import EDGES, FACES, NEIGHBOURS, axes, crop_faces, pad_face, pad_faces, rays


def border(picture_SS: Tensor, edge: str) -> Tensor:
    """A face's outermost line along an edge, from the left or from the top: picture (S, S, ...)."""
    return {"top": picture_SS[0], "bottom": picture_SS[-1], "left": picture_SS[:, 0], "right": picture_SS[:, -1]}[edge]


def test_faces_look_where_their_names_say() -> None:
    forward, up, right = torch.tensor([0, 0, 1.0]), torch.tensor([0, 1.0, 0]), torch.tensor([-1.0, 0, 0])
    looks = dict(zip(FACES, (forward, right, -forward, -right, up, -up), strict=True))
    for face in FACES:
        directions = rays(face, 9)
        assert torch.allclose(directions.norm(dim=-1), torch.ones(9, 9))
        assert torch.allclose(directions[4, 4], looks[face])
        assert (directions @ looks[face] >= 1 / math.sqrt(3) - 1e-6).all()


def test_faces_are_seen_from_inside_and_not_mirrored() -> None:
    for forward, right, down in axes():
        assert torch.equal(torch.linalg.cross(right, down), forward)


def test_the_edge_table_is_what_the_rays_say() -> None:
    """Derived anew: the neighbour whose border pixels lie nearest, and the turn that lays them beside the face."""
    size = 8
    every = {face: rays(face, size) for face in FACES}
    for face in FACES:
        for edge, opposite in zip(EDGES, ("bottom", "left", "top", "right"), strict=True):
            mine = border(every[face], edge)
            found = [
                (other, turns)
                for other in FACES
                for turns in (-1, 0, 1, 2)
                if other != face
                and bool(((border(every[other].rot90(turns), opposite) - mine).norm(dim=-1) < 2.5 / size).all())
            ]
            other, its_edge, turns = NEIGHBOURS[face][edge]
            assert found == [(other, turns)]
            assert NEIGHBOURS[other][its_edge][:2] == (face, edge)
            assert (NEIGHBOURS[other][its_edge][2] + turns) % 4 == 0


def test_padding_continues_the_world_across_all_edges() -> None:
    """Directions are padded like pictures: they must go on, across every edge, in steps of about a pixel."""
    size, pad = 32, 4
    directions = torch.stack([rays(face, size) for face in FACES]).permute(0, 3, 1, 2)[None]
    canvas = pad_faces(directions, pad)[0].permute(0, 2, 3, 1)
    inner = slice(pad, pad + size)
    for index in range(6):
        for lines in (canvas[index, :, inner], canvas[index, inner].transpose(0, 1)):
            steps = (lines[1:] - lines[:-1]).norm(dim=-1) * size
            assert float(steps.min()) > 0.6
            assert float(steps.max()) < 2.05
    assert torch.equal(crop_faces(canvas.permute(0, 3, 1, 2)[None], pad), directions)


@pytest.mark.parametrize(("face", "edge"), [(face, edge) for face in FACES for edge in EDGES])
def test_padding_is_the_neighbours_own_pixels(face: str, edge: str) -> None:
    size, pad = 16, 3
    faces = torch.arange(6 * size * size).reshape(1, 6, 1, size, size)
    canvas = pad_faces(faces, pad)[0, FACES.index(face), 0]
    other, its_edge, turns = NEIGHBOURS[face][edge]
    theirs = faces[0, FACES.index(other), 0].rot90(turns)
    inner = slice(pad, pad + size)
    strip, expected = {
        "top": (canvas[:pad, inner], theirs[-pad:]),
        "bottom": (canvas[-pad:, inner], theirs[:pad]),
        "left": (canvas[inner, :pad], theirs[:, -pad:]),
        "right": (canvas[inner, -pad:], theirs[:, :pad]),
    }[edge]
    assert torch.equal(strip, expected)
    assert set(border(faces[0, FACES.index(other), 0], its_edge).tolist()) <= set(strip.flatten().tolist())


def test_corners_repeat_the_nearest_pixel_of_the_strips() -> None:
    canvas = pad_faces(torch.arange(6 * 64).reshape(1, 6, 1, 8, 8), 3)[0, 0, 0]
    assert canvas[2, 0] == canvas[3, 0]  # next to the left strip
    assert canvas[0, 2] == canvas[0, 3]  # next to the top strip
    assert canvas[1, 9 + 3] == canvas[1, 10]  # a tie goes to the top strip
    assert canvas[-1, -2] == canvas[-1, 10]


def test_one_face_can_be_padded_alone() -> None:
    faces = torch.rand(2, 6, 3, 8, 8)
    for index, face in enumerate(FACES):
        assert torch.equal(pad_face(faces, face, 3), pad_faces(faces, 3)[:, index])


def test_padding_is_no_wider_than_a_face() -> None:
    with pytest.raises(UserError, match="between 0 and the face's 4 pixels, got 5"):
        pad_faces(torch.zeros(1, 6, 1, 4, 4), 5)
