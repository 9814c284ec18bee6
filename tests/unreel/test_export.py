"""`unreel.export` on what sessions of different modalities emit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import unreel
from tests.fake import fake_model
from tests.motion import tiny_motion
from tests.panorama import tiny_panorama
from unreel.modalities.media.spherical import read_spherical
from unreel.modalities.skeleton.bvh import read_bvh
from unreel.modalities.skeleton.gltf import read_rig


def test_frames_and_events_of_a_video_model(tmp_path: Path) -> None:
    session = fake_model(tmp_path / "fake").session(seed=1)
    assert unreel.export(session.stream(frames=6), tmp_path / "a.mp4", fps=10).frames == 6
    assert unreel.export(np.zeros((3, 8, 8, 3), np.uint8), tmp_path / "b.mp4", fps=10).frames == 3


def test_faces_become_a_film_of_the_sphere(tmp_path: Path) -> None:
    written = unreel.export(tiny_panorama().session(seed=1).stream(frames=4), tmp_path / "pano.mp4", fps=8, scale=2)
    assert written.frames == 4
    info = read_spherical(tmp_path / "pano.mp4")
    assert info is not None
    assert info.projection == "equirectangular"


def test_poses_become_an_animation(tmp_path: Path) -> None:
    events = list(tiny_motion().session(seed=1).stream(chunks=3))
    assert unreel.export(events, tmp_path / "m.bvh", fps=30).frames == 12
    assert read_bvh(tmp_path / "m.bvh").frames == 12
    unreel.export(iter(events), tmp_path / "m.glb", fps=30)
    assert read_rig(tmp_path / "m.glb").clips[0].frames == 12


def test_nothing_whole_is_nothing_written(tmp_path: Path) -> None:
    events = list(tiny_panorama().session(seed=1).stream(chunks=2))
    with pytest.raises(unreel.UserError, match="six faces"):
        unreel.export(events, tmp_path / "pano.mp4", fps=8)
    with pytest.raises(unreel.UserError, match="no frame"):
        unreel.export([], tmp_path / "none.mp4", fps=8)
    assert not list(tmp_path.iterdir())
