"""WebM films: colours, length, both versions of spherical metadata, every kind of end; and damaged files."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.media.spherical import SphericalInfo, read_spherical, write_spherical
from unreel.modalities.media.webm import WebmWriter

Probe = Callable[[Path], dict[str, Any]]


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def write(path: Path, film: np.ndarray, info: SphericalInfo | None = None) -> None:
    with WebmWriter(path, fps=8, spherical=info) as writer:
        writer.write(film[:5])
        writer.write(film[5:])


def test_colours_tags_and_length(tmp_path: Path, film: np.ndarray, ffprobe: Probe) -> None:
    path = tmp_path / "film.webm"
    write(path, film)
    got = read(path)
    assert got.shape == (12, 384, 384, 3)
    for row in (16, 48):
        for column in (8, 24, 40, 56):
            assert np.abs(got[:, row * 6, column * 6].astype(int) - film[:, row, column]).max() <= 4
    stream = ffprobe(path)
    assert (stream["codec_name"], stream["pix_fmt"], stream["color_range"]) == ("vp9", "yuv420p", "tv")
    assert (stream["color_primaries"], stream["color_transfer"], stream["color_space"]) == ("bt709",) * 3
    assert (stream["avg_frame_rate"], int(stream["nb_read_frames"])) == ("8/1", 12)
    with av.open(str(path)) as container:
        assert container.duration == pytest.approx(1_500_000)
    assert read_spherical(path) is None
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("info", "found", "printed"),
    [
        (SphericalInfo(), SphericalInfo(), {"projection": "equirectangular", "yaw": 0}),
        (SphericalInfo(yaw=30, versions=(2,)), SphericalInfo(yaw=30, source="", versions=(2,)), {"yaw": 30}),
        (
            SphericalInfo("cubemap", padding=4, stereo="top-bottom"),
            SphericalInfo("cubemap", padding=4, stereo="top-bottom", source="", versions=(2,)),
            {"projection": "cubemap", "padding": 4},
        ),
    ],
)
def test_players_are_told(
    tmp_path: Path, film: np.ndarray, ffprobe: Probe, info: SphericalInfo, found: SphericalInfo, printed: dict[str, Any]
) -> None:
    """Our reader, PyAV's frames and ffprobe see the Projection element that libavformat wrote."""
    path = tmp_path / "film.webm"
    write(path, film, info)
    assert read_spherical(path) == found
    with av.open(str(path)) as container:
        assert all("SPHERICAL" in {item.type.name for item in frame.side_data} for frame in container.decode(video=0))
    (sphere,) = (item for item in ffprobe(path)["side_data_list"] if item["side_data_type"] == "Spherical Mapping")
    assert printed.items() <= sphere.items()


def test_ctrl_c_and_exceptions(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "film.webm"
    with pytest.raises(KeyboardInterrupt), WebmWriter(path, fps=8, spherical=SphericalInfo()) as writer:
        writer.write(film[:7])
        raise KeyboardInterrupt
    assert len(read(path)) == 7
    assert read_spherical(path) == SphericalInfo()
    with pytest.raises(RuntimeError), WebmWriter(path, fps=8, spherical=SphericalInfo()) as writer:
        writer.write(film[:3])
        raise RuntimeError
    assert len(read(writer.part)) == 3
    assert len(read(path)) == 7


def test_damaged_files_never_crash(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "film.webm"
    write(path, film, SphericalInfo())
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for at in range(0, whole.index(b"\x1f\x43\xb6\x75"), 3):
        damaged = bytearray(whole)
        damaged[at] = rng.integers(256)
        path.write_bytes(damaged)
        with contextlib.suppress(UserError):
            read_spherical(path)
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match="expected a whole MP4 or WebM"):
        read_spherical(path)
    with pytest.raises(UserError, match="expected a whole MP4"):
        write_spherical(path, SphericalInfo())
