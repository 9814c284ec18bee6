"""Files in, films out: what `unreel generate` does with a panorama model."""

from __future__ import annotations

import json
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from tests.panorama import tiny_panorama
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.media.export import export
from unreel.modalities.panorama import works
from unreel.modalities.panorama.inputs import view_of


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_panorama()


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A clip of 7 frames at 12 per second, its track, one too short, a photograph and a file without video."""
    rng = np.random.default_rng(0)
    export(rng.integers(0, 256, (7, 48, 64, 3), np.uint8), tmp_path / "clip.mp4", 12, scale=1)
    track = {"fov": 80, "frames": [[0, 0, 10 * n] for n in range(7)]}
    (tmp_path / "track.json").write_text(json.dumps(track))
    (tmp_path / "short.json").write_text(json.dumps({"fov": 80, "frames": track["frames"][:3]}))
    Image.fromarray(rng.integers(0, 256, (48, 64, 3), np.uint8)).save(tmp_path / "photo.png")
    with av.open(str(tmp_path / "sound.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.sample_rate = 8000
        container.mux(stream.encode(frame))
    return tmp_path


def test_a_clip_makes_a_film_of_its_own_length_and_rate(model: Model, files: Path) -> None:
    given = {"video": str(files / "clip.mp4"), "camera": str(files / "track.json"), "place": "street"}
    order = works.order(model, given, print)
    assert (order.frames, order.fps) == (7, 12)
    assert order.controls["place"] == "street"
    session = model.session(seed=1)
    for name, value in order.controls.items():
        session.send(name, value)
    with works.exporter(files / "pano.mp4", model, order, 12.0, None, 7) as film:
        for event in session.stream(frames=7):
            film.add(event)
    with av.open(str(files / "pano.mp4")) as container:
        decoded = list(container.decode(video=0))
    assert len(decoded) == 7  # no tail is dropped, none is added
    assert (decoded[0].width, decoded[0].height) == (64, 32)
    assert any("SPHERICAL" in str(data.type) for data in decoded[0].side_data)


def test_a_photograph_and_a_fixed_camera(model: Model, files: Path) -> None:
    view, fps = view_of({"image": str(files / "photo.png"), "fov": 60, "yaw": 20}, 16)
    assert view is not None
    assert fps is None
    assert view["cameras"].tolist() == [[0.0, 0.0, 20.0, 60.0]]
    assert view["frames"].shape[0] == 1
    assert view["frames"].shape[2] <= 16  # no finer than the faces are worth
    assert works.order(model, {"image": str(files / "photo.png")}, print).frames == works.FRAMES


def test_nothing_given_makes_a_world_all_the_same(model: Model) -> None:
    assert dict(works.order(model, {}, print).controls) == {}
    collect = works.collector(model)
    parts = [collect(event) for event in model.session(seed=1).stream(frames=4)]
    assert np.concatenate([part for part in parts if part is not None]).shape == (4, 32, 64, 3)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"video": "clip.mp4", "camera": "short.json"}, "3 frames, the clip has 7"),
        ({"video": "clip.mp4", "fov": 0}, "got 0"),
        ({"video": "clip.mp4", "fov": 200}, "got 200"),
        ({"video": "sound.wav"}, "no video stream"),
        ({"video": "gone.mp4"}, "does not exist"),
        ({"video": "track.json"}, "cannot be read"),
        ({"image": "track.json"}, "cannot be read"),
        ({"video": "clip.mp4", "image": "photo.png"}, "not both"),
        ({"yaw": 20}, "give the view too"),
        ({"video": "clip.mp4", "camera": "track.json", "yaw": 3}, "leave yaw out"),
        ({"video": "clip.mp4", "fov": "wide"}, "number of degrees"),
    ],
)
def test_bad_input_is_one_clear_line(files: Path, given: dict, words: str) -> None:
    located = {n: str(files / v) if n in ("video", "image", "camera") else v for n, v in given.items()}
    with pytest.raises(UserError, match=words) as fault:
        view_of(located, 16)
    assert "\n" not in str(fault.value)
