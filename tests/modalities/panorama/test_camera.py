"""Tracks in every form become cameras; every motion can be rendered; every mistake is one clear line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from unreel.engine.errors import UserError
from unreel.modalities.panorama.camera import fixed_camera, load_track, track_cameras
from unreel.modalities.panorama.cubemap import FACES, camera_to_world, faces_from_view, rays, view_from_faces


def entry(roll: float = 0, pitch: float = 0, yaw: float = 0, fov: float = 90, **more: float) -> dict[str, float]:
    return {"roll": roll, "pitch": pitch, "yaw": yaw, "fov": fov, **more}


def save(path: Path, value: Any) -> Path:
    path.write_text(value if isinstance(value, str) else json.dumps(value))
    return path


def test_a_fixed_camera() -> None:
    assert fixed_camera(3, fov=75, yaw=-30, pitch=10, roll=5).tolist() == [[5, 10, -30, 75]] * 3
    assert fixed_camera().tolist() == [[0, 0, 0, 90]]
    for fov in (0, 180, 200, -1, float("nan"), float("inf")):
        with pytest.raises(UserError, match=f"got {fov:g}"):
            fixed_camera(fov=fov)


def test_the_forms_of_a_track_say_the_same(tmp_path: Path) -> None:
    expected = [[1, 2, 3, 80], [4, 5, 6, 80]]
    forms: list[Any] = [
        {"fov": 80, "frames": [[1, 2, 3], [4, 5, 6]]},
        {"frames": [[1, 2, 3, 80], [4, 5, 6, 80]]},
        [[1, 2, 3, 80], [4, 5, 6, 80]],
        [entry(1, 2, 3, 80), entry(4, 5, 6, 80)],
        {"fov": 80, "frames": [{"roll": 1, "pitch": 2, "yaw": 3}, entry(4, 5, 6, 80)]},
        [entry(1, 2, 3, 80, frame=0), entry(4, 5, 6, 80, frame=1)],
    ]
    for form in forms:
        cameras = load_track(save(tmp_path / "track.json", form), 2)
        assert cameras.dtype == torch.float32
        assert cameras.tolist() == expected
    assert track_cameras([[1, 2, 3], [4, 5, 6]], fov=80).tolist() == expected
    assert track_cameras(forms[0], frames=1).tolist() == expected[:1]  # a longer track is cut


def test_keyframes_go_the_shorter_way_round() -> None:
    def yaws(*keys: tuple[int, float], frames: int | None = None) -> list[float]:
        return track_cameras([entry(yaw=yaw, frame=frame) for frame, yaw in keys], frames)[:, 2].tolist()

    assert yaws((0, 0), (4, 90)) == [0, 22.5, 45, 67.5, 90]
    assert yaws((0, 170), (2, -170)) == [170, 180, -170]
    assert yaws((0, 350), (2, 10)) == [-10, 0, 10]
    assert yaws((0, 0), (2, 180)) == [0, 90, 180]
    assert yaws((0, 180), (2, 0)) in ([180, -90, 0], [-180, -90, 0])  # half a turn goes to the right
    assert yaws((2, 30), (4, 40), frames=7) == [30, 30, 30, 35, 40, 40, 40]  # and holds at its ends
    assert track_cameras([entry(fov=60, frame=0), entry(fov=80, frame=2)])[:, 3].tolist() == [60, 70, 80]
    whole = yaws((0, 0), (4, 120), (8, 240), (12, 360))
    turns = torch.tensor(whole).diff().remainder(360)
    assert torch.allclose(turns, torch.full((12,), 30.0))


@pytest.mark.parametrize(
    "track",
    [
        pytest.param([entry(yaw=15 * frame) for frame in range(25)], id="full turn"),
        pytest.param([entry(yaw=-15 * frame, pitch=20) for frame in range(49)], id="two turns left"),
        pytest.param([entry(roll=15 * frame) for frame in range(25)], id="full roll"),
        pytest.param([entry(pitch=15 * frame) for frame in range(25)], id="over both poles"),
        pytest.param([entry(pitch=90, yaw=15 * frame) for frame in range(13)], id="turning at the pole"),
        pytest.param([entry(), entry(yaw=180), entry(pitch=-90), entry(10, 80, -90, 30)], id="cuts"),
        pytest.param([entry(yaw=40, fov=fov) for fov in (1, 30, 90, 150, 179)], id="zoom"),
    ],
)
def test_every_motion_shows_and_covers_what_it_looks_at(track: list[dict[str, float]]) -> None:
    """The middle of the view is where the camera looks, all is finite, and each view covers where it came from."""
    size = 32
    faces = torch.stack([rays(face, size) for face in FACES]).permute(0, 3, 1, 2)[None]
    cameras = track_cameras(track)
    views = view_from_faces(faces.expand(len(track), -1, -1, -1, -1), cameras, 17, 25)
    known = faces_from_view(views, cameras, size)
    assert torch.isfinite(views).all()
    assert torch.isfinite(known).all()
    for camera, view, seen in zip(cameras, views, known, strict=True):
        looks = camera_to_world(camera) @ torch.tensor([0, 0, 1.0])
        assert torch.allclose(view[:, 8, 12], looks, atol=0.01)
        sure = (seen[:, 3:] == 1).expand(-1, 3, -1, -1)
        if (
            10 < camera[3] < 160
        ):  # a narrower view is less than a face's pixel, a wider one has few pixels in its middle
            assert sure.any()
            assert float((seen[:, :3] - faces[0])[sure].abs().max()) < (0.15 if camera[3] > 140 else 0.05)


@pytest.mark.parametrize("turns", [1, -1, 3])
def test_full_turns_come_back_to_the_same_picture(turns: int) -> None:
    faces = torch.rand(1, 6, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    once = track_cameras([entry(10, 20, 170, 80)])
    again = track_cameras([entry(10 + 360 * turns, 20, 170 + 360 * turns, 80)])
    assert torch.allclose(view_from_faces(faces, once, 8, 8), view_from_faces(faces, again, 8, 8), atol=1e-5)


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([[0, 0, 0, 90]] * 3, "has 3 frames, the clip has 5"),
        ({"fov": 200, "frames": [[0, 0, 0]] * 5}, "frame 0: a field of view .* got 200"),
        ({"fov": 0, "frames": [[0, 0, 0]] * 5}, "got 0$"),
        ([entry()] * 2 + [entry(fov=180)] * 3, "frame 2: a field of view"),
        ("[[0, NaN, 0, 90]]", "frame 0: pitch is a finite number of degrees, got nan"),
        ("[[0, 0, 1e999, 90]]", "yaw is a finite number"),
        ([{"roll": 0, "yaw": 0, "fov": 90}], "frame 0: pitch missing"),
        ([{"yaw": 0}], "roll and pitch and fov missing"),
        ([[0, 0, 0]], "fov missing"),
        ([entry() | {"tilt": 3}], "got 'tilt'"),
        ([[0, 0]], r"expected \[roll, pitch, yaw\] or an object with these names, got \[0, 0\]"),
        ([[0, "up", 0, 90]], "pitch is a number of degrees, got 'up'"),
        ([[0, True, 0, 90]], "got True"),
        ({"fov": None, "frames": [[0, 0, 0]]}, "fov missing"),
        ({"fov": "wide", "frames": [[0, 0, 0]]}, "fov is a number of degrees, got 'wide'"),
        ({"track": []}, "got 'track'"),
        ({"fov": 90}, "got no 'frames'"),
        ([], r"an entry for every frame, got \[\]"),
        (7, "got 7"),
        ({"frames": "abc"}, "got 'abc'"),
        ([entry(frame=3), entry(frame=3)], "keyframe 1: frame 3 comes after frame 3"),
        ([entry(frame=0), entry()], "keyframe 1: 'frame' is a whole number"),
        ([entry(frame=-1)], "got -1"),
        ([entry(frame=0.5)], "got 0.5"),
        ([entry(frame=10**12)], "to 999999"),
        ("{", "is not JSON"),
        ("[" * 100_000, "is not JSON"),
    ],
)
def test_mistakes_are_one_clear_line(tmp_path: Path, value: Any, says: str) -> None:
    with pytest.raises(UserError, match=says) as caught:
        load_track(save(tmp_path / "track.json", value), 5)
    assert "track.json" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_track(tmp_path / "no.json", 5)
    (tmp_path / "clip.mp4").write_bytes(b"\x00\xff\xfe\x80")
    with pytest.raises(UserError, match="cannot be read as text"):
        load_track(tmp_path / "clip.mp4", 5)
    with pytest.raises(UserError, match="cannot be read"):
        load_track(tmp_path, 5)
