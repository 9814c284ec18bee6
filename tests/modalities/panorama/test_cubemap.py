"""Six marked faces, round trips, every seam, every camera: the geometry has one convention and keeps it."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from worlds import camera, psnr, smooth_erp, smooth_faces

from unreel.engine.errors import UserError
from unreel.modalities.panorama.cubemap import (
    FACES,
    camera_to_world,
    erp_from_faces,
    faces_from_erp,
    faces_from_view,
    pad_faces,
    rays,
    view_from_erp,
    view_from_faces,
)

COLOURS = {"F": (1, 0, 0), "R": (0, 1, 0), "B": (0, 0, 1), "L": (1, 1, 0), "U": (0, 1, 1), "D": (1, 0, 1)}
LOOKS = {"F": (0, 0, 0), "R": (0, 0, 90), "B": (0, 0, 180), "L": (0, 0, -90), "U": (0, 90, 0), "D": (0, -90, 0)}


def marked_faces(size: int) -> Tensor:
    """Six faces, each of its own colour, white in the top left eighth and half as bright along the right eighth."""
    faces = torch.stack([torch.tensor(COLOURS[face]).float()[:, None, None].expand(3, size, size) for face in FACES])
    faces = faces.clone()
    faces[..., size * 7 // 8 :] /= 2
    faces[..., : size // 8, : size // 8] = 1
    return faces[None]


# --- The convention.


@pytest.mark.parametrize("face", FACES)
def test_erp_shows_every_face_where_it_belongs(face: str) -> None:
    erp = erp_from_faces(marked_faces(64), 128)[0]
    row, column = {"F": (64, 128), "R": (64, 192), "B": (64, 2), "L": (64, 64), "U": (4, 100), "D": (123, 100)}[face]
    assert erp[:, row, column].tolist() == list(COLOURS[face])


def test_erp_shows_the_marks_of_faces_unflipped() -> None:
    erp = erp_from_faces(marked_faces(64), 128)[0]
    white = torch.ones(3)
    assert torch.equal(erp[:, 64 - 23, 128 - 30], white)  # F: its top left, left of and above the centre
    assert torch.equal(erp[:, 64 - 23, 192 - 30], white)  # R: beside its border with F
    # U's top left is between B and L: at yaw -135, the middle column of the left half, 35 degrees up
    assert torch.equal(erp[:, round(128 * (90 - 40) / 180), 32], white)
    assert torch.equal(erp[:, round(128 * (90 + 40) / 180), 96], white)  # D's top left lies between F and L


@pytest.mark.parametrize("face", FACES)
def test_a_camera_with_90_degrees_sees_exactly_a_face(face: str) -> None:
    roll, pitch, yaw = LOOKS[face]
    faces = marked_faces(32)
    view = view_from_faces(faces, camera(roll, pitch, yaw), 32, 32)
    assert torch.allclose(view[0], faces[0, FACES.index(face)], atol=1e-4)


@pytest.mark.parametrize("face", FACES)
def test_a_view_of_a_face_covers_exactly_that_face(face: str) -> None:
    roll, pitch, yaw = LOOKS[face]
    picture = marked_faces(32)[:, FACES.index(face)]
    faces = faces_from_view(picture, camera(roll, pitch, yaw), 32)
    index = FACES.index(face)
    assert torch.allclose(faces[0, index, :3], picture[0], atol=1e-4)
    assert torch.allclose(faces[0, index, 3], torch.ones(32, 32), atol=1e-4)
    others = [other for other in range(6) if other != index]
    assert float(faces[0, others].abs().max()) < 1e-4


def test_turns_go_the_way_they_are_named() -> None:
    forward, up = torch.tensor([0, 0, 1.0]), torch.tensor([0, 1.0, 0])
    right = torch.tensor([-1.0, 0, 0])
    assert (camera_to_world(camera(yaw=30)[0]) @ forward) @ right > 0.4
    assert (camera_to_world(camera(pitch=30)[0]) @ forward) @ up > 0.4
    assert (camera_to_world(camera(roll=30)[0]) @ up) @ right > 0.4
    mixed = camera_to_world(camera(20, 40, 60)[0])
    alone = [camera_to_world(camera(**one)[0]) for one in ({"yaw": 60}, {"pitch": 40}, {"roll": 20})]
    assert torch.allclose(mixed, alone[0] @ alone[1] @ alone[2], atol=1e-6)
    assert torch.allclose(mixed @ mixed.T, torch.eye(3), atol=1e-6)


def test_no_line_at_the_borders_of_faces() -> None:
    """A smooth world stays smooth; with repeated borders, bends are 4 and 6 times the picture's own."""
    made = erp_from_faces(smooth_faces(64), 128)[0]
    truth = smooth_erp(128)[0]
    assert float((made - truth).abs().max()) < 0.004
    for dim in (1, 2):
        bend = made.diff(n=2, dim=dim).abs().max()
        assert float(bend) < 2.5 * float(truth.diff(n=2, dim=dim).abs().max())


def test_faces_of_a_smooth_panorama_meet_at_all_edges() -> None:
    canvas = pad_faces(faces_from_erp(smooth_erp(128), 64), 2)[0]
    truth = pad_faces(smooth_faces(64), 2)[0]
    assert float((canvas - truth).abs().max()) < 0.004
    inner = slice(2, 66)
    for lines in (canvas[:, :, :, inner], canvas[:, :, inner].transpose(2, 3)):
        across = (lines[:, :, 2] - lines[:, :, 1]).abs().max(), (lines[:, :, -3] - lines[:, :, -2]).abs().max()
        inside = lines[:, :, 2:-2].diff(dim=2).abs().max()
        assert max(map(float, across)) < 1.1 * float(inside)


# --- Round trips, poles, wrap-around.


def test_panorama_to_faces_and_back() -> None:
    erp = smooth_erp(256)
    faces = faces_from_erp(erp, 128)
    assert psnr(faces, smooth_faces(128)) > 55
    assert psnr(erp_from_faces(faces, 256), erp) > 50


def test_faces_of_a_finer_panorama_are_antialiased() -> None:
    coarse = faces_from_erp(smooth_erp(1024), 32)
    assert psnr(coarse, smooth_faces(32)) > 40
    noise = torch.rand(1, 1, 1024, 2048, generator=torch.Generator().manual_seed(0))
    faces = faces_from_erp(noise, 32)  # 16 ERP pixels per face pixel each way
    assert float(faces.std()) < 0.08
    assert float((faces.mean() - 0.5).abs()) < 0.01


def test_the_back_of_a_panorama_has_no_seam() -> None:
    erp = smooth_erp(64)
    view = view_from_erp(erp, camera(yaw=180, fov=60), 64, 64)
    assert float(view.diff(n=2, dim=-1).abs().max()) < 0.02
    assert psnr(view, view_from_faces(smooth_faces(256), camera(yaw=180, fov=60), 64, 64)) > 40


@pytest.mark.parametrize("pitch", [90, -90])
def test_poles_have_no_seam(pitch: float) -> None:
    truth = smooth_faces(64)[:, 4 if pitch > 0 else 5]
    assert psnr(view_from_erp(smooth_erp(128), camera(pitch=pitch), 64, 64), truth) > 45
    assert psnr(faces_from_erp(smooth_erp(128), 64)[:, 4 if pitch > 0 else 5], truth) > 45


@pytest.mark.parametrize(
    "look", [(0, 0, 0), (0, 0, 180), (30, 20, 135), (-170, 80, -45), (10, 90, 30), (0, -90, 0), (0, 0, 765)]
)
def test_view_to_faces_and_back(look: tuple[float, float, float]) -> None:
    sent = camera(*look, fov=80)
    frames = view_from_faces(smooth_faces(256), sent, 96, 128)
    assert psnr(frames, view_from_erp(smooth_erp(512), sent, 96, 128)) > 45
    known = faces_from_view(frames, sent, 128)
    colours, coverage = known[:, :, :3], known[:, :, 3:]
    assert psnr(colours[(coverage == 1).expand_as(colours)], smooth_faces(128)[(coverage == 1).expand_as(colours)]) > 40
    assert float(colours[(coverage == 0).expand_as(colours)].abs().sum()) == 0
    back = view_from_faces(colours, sent, 96, 128)[..., 4:-4, 4:-4]
    assert psnr(back, frames[..., 4:-4, 4:-4]) > 40


@pytest.mark.parametrize(("fov", "shape"), [(90, (64, 64)), (60, (48, 96)), (120, (96, 64)), (6, (8, 8))])
def test_coverage_is_the_solid_angle_of_the_view(fov: float, shape: tuple[int, int]) -> None:
    """Against the closed form 4 asin(ab / sqrt((1 + a^2)(1 + b^2))) of a rectangle seen from above its middle."""
    a = math.tan(math.radians(fov / 2))
    b = a * shape[0] / shape[1]
    expected = 4 * math.asin(a * b / math.sqrt((1 + a * a) * (1 + b * b)))
    size = 128
    points = torch.stack([rays(face, size) for face in FACES])
    pixel = (points.abs().amax(dim=-1) ** 3) * (2 / size) ** 2  # solid angle of a face's pixel
    for look in ((0, 0, 0), (25, 35, 50), (0, 90, 0)):
        coverage = faces_from_view(torch.ones(1, 3, *shape), camera(*look, fov), size)[0, :, 3]
        seen = float((coverage * pixel).sum())
        assert seen == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize(("roll", "pitch", "yaw", "fov"), [(0, 0, 0, 90), (20, 10, 45, 20), (0, 40, 60, 150)])
def test_the_edge_of_the_view_is_one_pixel_soft(roll: float, pitch: float, yaw: float, fov: float) -> None:
    coverage = faces_from_view(torch.ones(1, 1, 40, 64), camera(roll, pitch, yaw, fov), 128)[0, :, 1]
    soft = (coverage > 1e-3) & (coverage < 1 - 1e-3)
    for lines in (soft, soft.transpose(1, 2)):
        run = torch.nn.functional.avg_pool2d(lines[:, None].float(), (3, 1), stride=1)[:, 0] == 1
        steep = (lines[:, 1:-1] & run).float().mean()
        assert float(steep) < 0.02  # three soft pixels in a line only along an edge of the view


def test_nothing_behind_the_camera_is_seen() -> None:
    known = faces_from_view(torch.ones(1, 3, 32, 32), camera(fov=179.9), 32)[0]
    assert float(known[FACES.index("B")].abs().max()) == 0
    assert torch.isfinite(known).all()
    assert float(known[FACES.index("F"), 3].min()) == 1


def test_a_fine_view_is_antialiased() -> None:
    stripes = (torch.arange(1280) % 2).float().expand(1, 1, 720, 1280)
    face = faces_from_view(stripes, camera(), 128)[0, 0]
    inside = face[0][face[1] == 1]
    assert float((inside - 0.5).abs().max()) < 0.05


# --- Cameras that move, gradients, errors.


def test_every_frame_has_its_own_camera() -> None:
    tracks = torch.tensor([[0, 0, 0, 90], [0, 0, 0, 90], [10, 20, 30, 60], [0, 0, 0, 90.0]])
    faces = torch.rand(4, 6, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    together = view_from_faces(faces, tracks, 12, 20)
    known = faces_from_view(together, tracks, 16)
    erp = erp_from_faces(faces, 32)
    from_erp = view_from_erp(erp, tracks, 12, 20)
    for frame in range(4):
        one = slice(frame, frame + 1)
        assert torch.allclose(view_from_faces(faces[one], tracks[one], 12, 20), together[one])
        assert torch.allclose(faces_from_view(together[one], tracks[one], 16), known[one])
        assert torch.allclose(view_from_erp(erp[one], tracks[one], 12, 20), from_erp[one])


def test_gradients_reach_pictures_and_cameras() -> None:
    generator = torch.Generator().manual_seed(2)

    def random(*shape: int) -> Tensor:
        return torch.rand(*shape, dtype=torch.float64, generator=generator, requires_grad=True)

    look = torch.tensor([[10, 20, 30, 80.0]], dtype=torch.float64)
    check = torch.autograd.gradcheck
    assert check(lambda erp: faces_from_erp(erp, 2), random(1, 1, 6, 12))  # shrunk, wrapped
    assert check(lambda faces: erp_from_faces(faces, 4), random(1, 6, 1, 3, 3))
    assert check(lambda faces: view_from_faces(faces, look, 2, 3), random(1, 6, 1, 3, 3))
    assert check(lambda erp: view_from_erp(erp, look, 2, 3), random(1, 1, 6, 12))
    assert check(lambda frames: faces_from_view(frames, look, 3), random(1, 1, 3, 4))
    assert check(lambda faces: pad_faces(faces, 2), random(1, 6, 1, 3, 3))
    moving = look.clone().requires_grad_()
    view_from_faces(smooth_faces(16).double(), moving, 6, 8).sum().backward()
    assert moving.grad is not None
    assert bool((moving.grad.abs() > 0).all())


def test_grids_made_while_inferring_serve_training() -> None:
    with torch.inference_mode():
        faces_from_erp(torch.rand(1, 1, 14, 28), 7)
        erp_from_faces(torch.rand(1, 6, 1, 7, 7), 14)
        faces_from_view(torch.rand(1, 1, 7, 7), camera(), 7)
    erp = torch.rand(1, 1, 14, 28, requires_grad=True)
    (erp_from_faces(faces_from_erp(erp, 7), 14).sum() + faces_from_view(erp, camera(), 7).sum()).backward()
    assert erp.grad is not None


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_goes_through(dtype: torch.dtype) -> None:
    erp = smooth_erp(32).to(dtype)
    faces = faces_from_erp(erp, 16)
    assert faces.dtype == dtype
    assert psnr(faces.float(), faces_from_erp(erp.float(), 16)) > 45
    assert faces_from_view(erp, camera(), 16).dtype == dtype


def test_errors_say_what_came() -> None:
    with pytest.raises(UserError, match="twice as wide as high, got 30x20"):
        faces_from_erp(torch.zeros(1, 3, 20, 30), 8)
    for fov in (0, 180, 200, float("nan")):
        with pytest.raises(UserError, match="between 0 and 180"):
            faces_from_view(torch.zeros(1, 3, 8, 8), camera(fov=fov), 8)
    with pytest.raises(UserError, match="each of 2 frames"):
        view_from_faces(torch.zeros(2, 6, 3, 8, 8), camera(), 8, 8)
