"""Key frames evaluated by hand and by `interpolate`."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.skeleton.animation import interpolate
from unreel.modalities.skeleton.clips import Clip, from_globals, split_scale
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.rig import Rig
from unreel.modalities.skeleton.rotations import from_axis_angle, to_matrix

TIMES = np.asarray([1.0, 2.0, 4.0])
VALUES = np.asarray([[0.0, 0, 0], [1, 0, 0], [5, 0, 0]])


def x(kind: str, at: list[float], values: np.ndarray = VALUES) -> list[float]:
    track = interpolate(TIMES, values, kind, np.asarray(at), rotation=False)
    assert track is not None
    return [float(value) for value in track[:, 0]]


def test_linear_and_step() -> None:
    assert x("LINEAR", [0, 1, 1.5, 2, 3, 4, 9]) == [0, 0, 0.5, 1, 3, 5, 5]
    assert x("STEP", [0, 1, 1.5, 2, 3, 4, 9]) == [0, 0, 0, 1, 1, 5, 5]


def test_cubic_spline_follows_its_tangents() -> None:
    """Keys of y = t^2 with its own slopes: the cubic through them is the parabola itself."""
    keys = np.zeros((9, 3))
    keys[1::3, 0], keys[0::3, 0], keys[2::3, 0] = TIMES**2, 2 * TIMES, 2 * TIMES
    at = [1, 1.25, 2, 3.3, 4]
    assert np.allclose(x("CUBICSPLINE", at, keys), np.asarray(at) ** 2)


def test_rotations_go_the_shorter_way() -> None:
    turn = from_axis_angle(np.asarray([0, 1.0, 0]), np.asarray([0, 1.0, 3.0]))
    turn[1] *= -1
    track = interpolate(TIMES, turn, "LINEAR", np.asarray([1.5, 3.0]), rotation=True)
    assert track is not None
    expected = from_axis_angle(np.asarray([0, 1.0, 0]), np.asarray([0.5, 2.0]))
    assert np.allclose(to_matrix(track), to_matrix(expected))


def test_damaged_keys() -> None:
    assert interpolate(TIMES[::-1], VALUES, "LINEAR", TIMES, rotation=False) is None
    assert interpolate(TIMES, VALUES, "CUBICSPLINE", TIMES, rotation=False) is None


def test_all_kinds_in_a_file(raw: Any) -> None:
    bones = [{}, {"name": "hip", "children": [2]}, {"name": "knee", "translation": [0, 1, 0]}]
    raw.skinned(nodes=bones, joints=[1, 2])
    half = 0.5**0.5
    times = raw.accessor([2, 3], "SCALAR")
    spline = np.zeros((6, 3))
    spline[[1, 4]] = [[0, 1, 0], [0, 2, 0]]
    raw.json["animations"] = [
        {
            "name": "all",
            "samplers": [
                {"input": times, "output": raw.accessor([[0, 0, 0, 1], [half, 0, 0, half]], "VEC4")},
                {"input": times, "output": raw.accessor([[0, 0, 0], [9, 0, 0]], "VEC3"), "interpolation": "STEP"},
                {"input": times, "output": raw.accessor(spline, "VEC3"), "interpolation": "CUBICSPLINE"},
            ],
            "channels": [
                {"sampler": 0, "target": {"node": 1, "path": "rotation"}},
                {"sampler": 1, "target": {"node": 1, "path": "translation"}},
                {"sampler": 2, "target": {"node": 2, "path": "translation"}},
                {"sampler": 0, "target": {"node": 0, "path": "weights"}},
            ],
        },
        {"name": "nothing", "samplers": [], "channels": []},
        {"name": "faulty", "samplers": [{"input": times, "output": times}], "channels": []},
    ]
    rig = read_rig(raw.glb(), fps=10)
    (clip,) = rig.clips
    assert (clip.name, clip.frames, clip.seconds) == ("all", 11, 1.0)
    assert clip.translations[[0, 9, 10], 0, 0].tolist() == [0, 0, 9]
    assert np.allclose(clip.translations[[0, 5, 10], 1, 1], [1, 1.5, 2])
    assert np.allclose(clip.rotations[5, 0], from_axis_angle(np.asarray([1.0, 0, 0]), np.pi / 4), atol=1e-6)
    assert any("morph" in note for note in rig.notes)
    assert any("'nothing' moves no joint" in note for note in rig.notes)


def test_clips_are_resampled(arm: Rig) -> None:
    slow = read_rig(glb_bytes(arm), fps=12).clips[0]
    assert (slow.frames, slow.fps) == (13, 12)
    expected = from_axis_angle(np.asarray([1.0, 0, 0]), np.linspace(0, np.pi / 2, 13))
    assert np.allclose(slow.rotations[:, 1], expected, atol=1e-5)
    assert read_rig(glb_bytes(arm), clips=False).clips == ()


def test_clips_through_world_matrices(arm: Rig) -> None:
    clip = arm.clips[0]
    world = clip.globals(arm.skeleton)
    again = from_globals("again", 30, arm.skeleton, world)
    assert again.scales is None
    assert np.allclose(again.rotations, clip.rotations, atol=1e-6)
    world[:, 1, :3, :3] *= 2
    assert np.allclose(from_globals("big", 30, arm.skeleton, world).scales[:, 1], 2, atol=1e-5)
    assert from_globals("flat", 30, arm.skeleton, world, scaled=False).scales is None


def test_split_scale_of_mirrors() -> None:
    turns, scales = split_scale(np.diag([-2.0, 3, 4]))
    assert scales.tolist() == [-2, 3, 4]
    assert np.allclose(turns, np.eye(3))


def test_bad_clips_are_refused(arm: Rig) -> None:
    clip = arm.clips[0]
    with pytest.raises(UserError, match="translations"):
        Clip("x", 30, clip.translations[:2], clip.rotations)
    with pytest.raises(UserError, match="fps"):
        replace(clip, fps=0)
    with pytest.raises(UserError, match="scales"):
        replace(clip, scales=np.ones((1, 2, 3)))
    with pytest.raises(UserError, match="moves 1 joints, the skeleton has 2"):
        replace(arm, clips=(Clip("x", 30, clip.translations[:, :1], clip.rotations[:, :1]),))
