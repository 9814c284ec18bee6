"""Pictures: the right triangle in the right pixel, at the right speed."""

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import trimesh

from unreel.modalities.media.mp4 import Mp4Writer
from unreel.modalities.skeleton.materials import Looks, Picture, plain_material
from unreel.modalities.skeleton.mesh import Mesh, Part
from unreel.modalities.skeleton.raster import Camera, orbit, rasterise
from unreel.modalities.skeleton.render import Style, draw_bones, heat, render, render_clip, weight_colours
from unreel.modalities.skeleton.rig import Rig

from .conftest import png

PLAIN = Style(64, 64, 1, ground=None)


def ball(subdivisions: int = 3, colour: tuple[float, ...] = (1, 0, 0, 1)) -> Mesh:
    shape = trimesh.creation.icosphere(subdivisions)
    part = Part(np.asarray(shape.vertices, np.float32), np.asarray(shape.faces), material=0)
    return Mesh((part,), Looks((plain_material(colour),)))


def test_the_camera_looks_where_it_says() -> None:
    camera = Camera((0, 0, 0), 10, yaw=0, pitch=0)
    assert np.allclose(camera.eye, [0, 0, 10])
    spot = camera.project(np.asarray([[1.0, 0, 0], [0, 1, 0], [0, 0, 0]]), 100, 100)
    assert spot[0, 0] > 50  # +x, the left of a character that faces us, is to our right
    assert spot[1, 1] < 50  # up is up
    assert np.allclose(spot[2], [50, 50, 10])
    assert np.allclose(Camera((1, 2, 3), 5, yaw=90, pitch=0).eye, [6, 2, 3])
    rays = camera.rays(100, 100)
    there = camera.eye + rays[20, 70] * 10
    assert np.allclose(camera.project(there, 100, 100), [70.5, 20.5, 10], atol=1e-3)


def test_the_nearest_triangle_wins_and_corners_are_right() -> None:
    screen = np.asarray([[0, 0, 5], [60, 0, 5], [0, 60, 5], [0, 0, 2], [30, 0, 2], [0, 30, 8.0]])
    seen = rasterise(screen, np.asarray([[0, 1, 2], [3, 4, 5]]), 60, 60)
    face = seen.face.reshape(60, 60)
    assert face[50, 50] == -1
    assert face[2, 40] == 0
    assert face[2, 2] == 1
    assert face[25, 1] == 0  # the second triangle reaches behind the first here
    at = 2 * 60 + 40
    assert np.allclose(seen.corners[at], [1 - 43 / 60, 40.5 / 60, 2.5 / 60], atol=1e-6)
    assert np.isclose(seen.depth[at], 5)


def test_every_pixel_of_a_ball_is_hit_once() -> None:
    mesh = ball(5)
    camera = orbit(mesh.bounds, yaw=20, pitch=10)
    screen = camera.project(mesh.positions.astype(np.float64), 200, 200)
    seen = rasterise(screen, mesh.faces, 200, 200)
    column, row = np.meshgrid(np.arange(200) + 0.5, np.arange(200) + 0.5)
    radius = np.hypot(*(screen[:, :2] - 100).T).max()
    inside = np.hypot(column - 100, row - 100) < radius - 1.5
    assert (seen.face.reshape(200, 200)[inside] >= 0).all()
    assert (seen.face.reshape(200, 200)[np.hypot(column - 100, row - 100) > radius + 1] < 0).all()
    points = (mesh.positions[mesh.faces[seen.face]] * seen.corners[..., None]).sum(1)[seen.face >= 0]
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=0.01)
    assert ((points @ camera.axes[2]) > -0.01).all()  # only the near side


def test_triangles_behind_the_camera_and_out_of_sight() -> None:
    screen = np.asarray([[0, 0, -1], [60, 0, 5], [0, 60, 5], [900, 900, 5], [990, 900, 5], [900, 990, 5.0]])
    assert (rasterise(screen, np.asarray([[0, 1, 2], [3, 4, 5]]), 60, 60).face == -1).all()


def test_colours_light_and_background() -> None:
    mesh = ball()
    frame = render(mesh, orbit(mesh.bounds), PLAIN)
    assert (frame.shape, frame.dtype) == ((64, 64, 3), np.uint8)
    middle = frame[32, 32].astype(int)
    assert middle[0] > 100
    assert middle[1:].max() < 20
    assert (frame[0, 0] > 230).all()
    assert frame[20, 32, 0] > frame[48, 32, 0]  # light comes from above
    blue = render(mesh, orbit(mesh.bounds), PLAIN, np.tile([0, 0, 1.0], (len(mesh.positions), 1)))
    assert blue[32, 32, 2] > 100
    assert blue[32, 32, 0] < 20


def test_textures_and_flat_shading() -> None:
    mesh = ball()
    looks = Looks(
        (plain_material((1, 1, 1, 1), texture=0),), ({"source": 0},), (), (Picture(png((0, 255, 0)), "image/png"),)
    )
    part = replace(mesh.parts[0], uvs=(np.zeros((len(mesh.positions), 2), np.float32),))
    frame = render(Mesh((part,), looks), orbit(mesh.bounds), replace(PLAIN, smooth=False))
    assert frame[32, 32, 1] > 100
    assert frame[32, 32, 0] < 20


def test_the_ground_is_drawn_where_nothing_else_is() -> None:
    mesh = ball()
    plain = render(mesh, orbit(mesh.bounds), PLAIN)
    grid = render(mesh, orbit(mesh.bounds), replace(PLAIN, ground=-1.0))
    assert (plain[40:60] != grid[40:60]).any()
    assert (plain[32, 32] == grid[32, 32]).all()


def test_bones_heat_and_weights(arm: Rig) -> None:
    camera = orbit(arm.mesh.bounds)
    frame = render(arm.mesh, camera, PLAIN)
    with_bones = draw_bones(frame, camera, arm.skeleton)
    assert with_bones.shape == frame.shape
    assert (with_bones != frame).any()
    colours = heat(np.asarray([0.0, 0.5, 1.0]))
    assert colours[0, 2] > colours[0, 0]
    assert colours[2, 0] > 0.8 > colours[2, 2]
    one = weight_colours(arm, 1)
    assert np.allclose(one[0], heat(np.asarray([0.0]))[0])
    assert np.allclose(one[-1], heat(np.asarray([1.0]))[0])
    every = weight_colours(arm)
    assert not np.allclose(every[0], every[-1])


def test_a_clip_becomes_a_film(arm: Rig, tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "bend.mp4", 30, scale=1) as film:
        for frame in render_clip(arm, arm.clips[0], style=Style(96, 96, 1), bones=True):
            film.write(frame[None])
    assert film.frames == 31
    assert (tmp_path / "bend.mp4").stat().st_size > 1000


def test_ten_thousand_faces_are_quick() -> None:
    """Half a second is the promise; a busy machine gets more time before this fails."""
    mesh = ball(5)
    times = []
    for _ in range(3):
        began = time.perf_counter()
        render(mesh, orbit(mesh.bounds), Style(384, 384, 1))
        times.append(time.perf_counter() - began)
    assert len(mesh.faces) > 10_000
    assert min(times) < 1.5
