"""Our geometry against FFmpeg's `v360` filter, run through PyAV: the same pictures, to the decibel."""

from __future__ import annotations

import math
from fractions import Fraction

import av
import numpy as np
import pytest
import torch
from torch import Tensor
from worlds import psnr, smooth_erp

from unreel.modalities.panorama.cubemap import (
    FACES,
    erp_from_faces,
    faces_from_erp,
    faces_from_view,
    rays,
    view_from_erp,
    view_from_faces,
)
from unreel.modalities.panorama.layouts import eac_from_faces, faces_from_eac, faces_from_grid, grid_from_faces

try:
    av.filter.Filter("v360")
except ValueError:
    pytest.skip("this PyAV has no v360 filter", allow_module_level=True)

SIZE = 128
CAMERAS = [(0, 0, 0), (20, 30, 40), (-60, -20, 170), (0, 90, 0), (15, -90, 30), (0, 10, -135)]


def v360(picture_CHW: Tensor, options: str) -> Tensor:
    """What FFmpeg makes of a picture (C, H, W) in 0..1."""
    pixels = np.ascontiguousarray((picture_CHW.permute(1, 2, 0) * 255).round().byte().numpy())
    frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
    graph = av.filter.Graph()
    nodes = [
        graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=Fraction(1, 8)),
        graph.add("format", "gbrp"),  # v360 works on planes of equal size
        graph.add("v360", options),
        graph.add("format", "gbrp"),
        graph.add("buffersink"),
    ]
    for one, other in zip(nodes[:-1], nodes[1:], strict=True):
        one.link_to(other)
    graph.configure()
    nodes[0].push(frame)
    made = nodes[-1].pull()
    assert isinstance(made, av.VideoFrame)
    return torch.from_numpy(made.to_ndarray(format="rgb24")).permute(2, 0, 1).float() / 255


@pytest.fixture(scope="module")
def erp() -> Tensor:
    return smooth_erp(2 * SIZE)


@pytest.fixture(scope="module")
def faces(erp: Tensor) -> Tensor:
    return faces_from_erp(erp, SIZE)


def flat(camera: tuple[float, ...], fov: float, height: int, width: int, side: str = "") -> str:
    """v360's options for a view, made of the world or (side "i") laid on it; it wants both fields of view."""
    fov_y = 2 * math.degrees(math.atan(math.tan(math.radians(fov / 2)) * height / width))
    roll, pitch, yaw = camera
    return f"{side}h_fov={fov}:{side}v_fov={fov_y}:yaw={yaw}:pitch={pitch}:roll={roll}"


@pytest.mark.parametrize(
    ("layout", "options"),
    [
        ("c3x2", f"e:c3x2:w={3 * SIZE}:h={2 * SIZE}"),
        ("c6x1", f"e:c6x1:w={6 * SIZE}:h={SIZE}"),
        ("cbmp", f"e:c3x2:w={3 * SIZE}:h={2 * SIZE}:out_frot=002200"),
    ],
)
def test_cubemaps_are_those_of_ffmpeg(erp: Tensor, faces: Tensor, layout: str, options: str) -> None:
    theirs = v360(erp[0], options)
    assert psnr(grid_from_faces(faces, layout)[0], theirs) > 45
    ours = faces_from_grid(theirs[None], layout)
    for index in range(len(FACES)):
        assert psnr(ours[0, index], faces[0, index]) > 45


@pytest.mark.parametrize(
    ("layout", "projection"), [("c3x2", "c3x2"), ("c6x1", "c6x1"), ("cbmp", "c3x2:in_frot=002200")]
)
def test_ffmpeg_reads_our_cubemaps(erp: Tensor, faces: Tensor, layout: str, projection: str) -> None:
    projection, _, turned = projection.partition(":")
    options = f"{projection}:e:w={4 * SIZE}:h={2 * SIZE}" + (f":{turned}" if turned else "")
    theirs = v360(grid_from_faces(faces, layout)[0], options)
    assert psnr(theirs, erp[0]) > 40
    assert psnr(theirs, erp_from_faces(faces, 2 * SIZE)[0]) > 40


def test_equi_angular_cubemaps_are_those_of_ffmpeg(erp: Tensor, faces: Tensor) -> None:
    theirs = v360(erp[0], f"e:eac:w={3 * SIZE}:h={2 * SIZE}")
    assert psnr(eac_from_faces(faces, 2 * SIZE)[0], theirs) > 40
    ours = faces_from_eac(theirs[None], SIZE)
    for index in range(len(FACES)):
        assert psnr(ours[0, index], faces[0, index]) > 40


def test_ffmpeg_reads_our_equi_angular_cubemap(erp: Tensor, faces: Tensor) -> None:
    theirs = v360(eac_from_faces(faces, 2 * SIZE)[0], f"eac:e:w={4 * SIZE}:h={2 * SIZE}")
    assert psnr(theirs, erp[0]) > 40


@pytest.mark.parametrize("camera", CAMERAS)
def test_views_are_those_of_ffmpeg(erp: Tensor, faces: Tensor, camera: tuple[float, float, float]) -> None:
    theirs = v360(erp[0], f"e:flat:w=160:h=120:{flat(camera, 80, 120, 160)}")
    cameras = torch.tensor([[*camera, 80.0]])
    assert psnr(view_from_erp(erp, cameras, 120, 160)[0], theirs) > 45
    assert psnr(view_from_faces(faces, cameras, 120, 160)[0], theirs) > 40


@pytest.mark.parametrize("camera", CAMERAS)
def test_a_view_laid_on_the_world_is_as_ffmpeg_lays_it(erp: Tensor, camera: tuple[float, float, float]) -> None:
    cameras = torch.tensor([[*camera, 80.0]])
    view = view_from_erp(erp, cameras, 240, 320)
    # v360 turns the world where we turn the camera: the same angles, negative and in the opposite order
    turns = flat(tuple(-angle for angle in camera), 80, 240, 320, side="i")
    theirs = v360(view[0], f"flat:e:w={4 * SIZE}:h={2 * SIZE}:rorder=rpy:{turns}")
    ours = erp_from_faces(faces_from_view(view, cameras, SIZE), 2 * SIZE)[0]
    inside = (ours[3] == 1).expand(3, -1, -1)
    assert float(inside.float().mean()) > 0.05
    assert psnr(ours[:3][inside], theirs[inside]) > 40


def test_rays_are_where_ffmpeg_looks() -> None:
    """The direction itself as a colour: the layouts hold for what every pixel looks at, not for one picture only."""
    directions = torch.stack([rays(face, SIZE) for face in FACES]).permute(0, 3, 1, 2)[None] / 2 + 0.5
    theirs = v360(erp_from_faces(directions, 2 * SIZE)[0], f"e:c3x2:w={3 * SIZE}:h={2 * SIZE}")
    off = (faces_from_grid(theirs[None], "c3x2") - directions).abs()
    assert float(off.max()) < 2 / SIZE
