"""MP4 files: colours, tags and frame rate are right, and every kind of end leaves a film."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.media.mp4 import Mp4Writer

Probe = Callable[[Path], dict[str, Any]]


def read(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


@pytest.mark.parametrize("scale", [None, 1, 2])
def test_colours_survive(tmp_path: Path, film: np.ndarray, scale: int | None) -> None:
    """Every flat field comes back within 3 of 255 levels: the right matrix, the right range, no shift."""
    path = tmp_path / "film.mp4"
    with Mp4Writer(path, fps=15, scale=scale) as writer:
        writer.write(film)
    got, factor = read(path), writer.scale or 0
    assert got.shape == (12, 64 * factor, 64 * factor, 3)
    for row in (16, 48):
        for column in (8, 24, 40, 56):
            pixels = got[:, row * factor, column * factor].astype(int)
            assert np.abs(pixels - film[:, row, column]).max() <= 3


def test_enlarged_pixels_stay_in_place(tmp_path: Path) -> None:
    """Luma of single-pixel noise, enlarged: each pixel is where it was (chroma is halved by the format)."""
    noise = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 1), dtype=np.uint8).repeat(3, axis=3)
    path = tmp_path / "noise.mp4"
    with Mp4Writer(path, fps=10, scale=6, crf=1) as writer:
        writer.write(noise)
    got = read(path)[:, 3::6, 3::6].astype(int)
    assert np.abs(got - noise).max() <= 6


@pytest.mark.parametrize(("fps", "rate"), [(15, "15/1"), (29.97, "2997/100"), (12.5, "25/2")])
def test_tags_and_rate(tmp_path: Path, film: np.ndarray, ffprobe: Probe, fps: float, rate: str) -> None:
    path = tmp_path / "film.mp4"
    with Mp4Writer(path, fps=fps) as writer:
        writer.write(film[:5])
        writer.write(film[5:])
    stream = ffprobe(path)
    assert (stream["codec_name"], stream["pix_fmt"]) == ("h264", "yuv420p")
    assert (stream["color_primaries"], stream["color_transfer"], stream["color_space"]) == ("bt709",) * 3
    assert stream["color_range"] == "tv"
    assert stream["avg_frame_rate"] == rate
    assert int(stream["nb_read_frames"]) == 12
    assert float(stream["duration"]) == pytest.approx(12 / fps, rel=1e-3)
    assert float(stream["start_time"]) == 0


def test_the_index_is_in_front(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "film.mp4"
    with Mp4Writer(path, fps=15) as writer:
        writer.write(film)
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"moof" not in data
    assert list(tmp_path.iterdir()) == [path]


def test_odd_sizes_get_a_row_and_a_column(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "odd.mp4"
    with Mp4Writer(path, fps=15, scale=1) as writer:
        writer.write(film[:, :63, :61])
    assert read(path).shape == (12, 64, 62, 3)


def test_ctrl_c_leaves_a_whole_film(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "film.mp4"
    with pytest.raises(KeyboardInterrupt), Mp4Writer(path, fps=15) as writer:
        writer.write(film[:7])
        raise KeyboardInterrupt
    assert len(read(path)) == 7
    assert list(tmp_path.iterdir()) == [path]


def test_an_exception_leaves_the_part_and_the_old_file(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"the film of yesterday")
    with pytest.raises(RuntimeError), Mp4Writer(path, fps=15) as writer:
        writer.write(film[:7])
        raise RuntimeError
    assert path.read_bytes() == b"the film of yesterday"
    assert len(read(writer.part)) == 7


def test_a_killed_process_leaves_all_but_the_last_frame(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    script = (
        "import os, signal, numpy as np\n"
        "from unreel.modalities.media.mp4 import Mp4Writer\n"
        f"writer = Mp4Writer({str(path)!r}, fps=15)\n"
        "for i in range(5):\n"
        "    writer.write(np.full((4, 64, 64, 3), 40 * i, np.uint8))\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert result.returncode == -9, result.stderr
    assert not path.exists()
    got = read(tmp_path / "film.mp4.part")
    assert len(got) == 19
    assert np.abs(got[::4, 100, 100, 0].astype(int) - [0, 40, 80, 120, 160]).max() <= 2


def test_no_frame_leaves_nothing(tmp_path: Path) -> None:
    with Mp4Writer(tmp_path / "film.mp4", fps=15) as writer:
        writer.write(np.zeros((0, 64, 64, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_frames_of_another_size_are_refused(tmp_path: Path, film: np.ndarray) -> None:
    with Mp4Writer(tmp_path / "film.mp4", fps=15) as writer:
        writer.write(film)
        with pytest.raises(UserError, match="expected 64x64 .* got 32x32"):
            writer.write(film[:, :32, :32])
