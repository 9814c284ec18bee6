"""The checks that come before the first frame."""

from pathlib import Path

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.media.mp4 import Mp4Writer
from unreel.modalities.media.writer import auto_scale


@pytest.mark.parametrize(("height", "scale"), [(64, 6), (128, 3), (239, 2), (240, 1), (480, 1)])
def test_small_frames_are_enlarged(height: int, scale: int) -> None:
    assert auto_scale(height) == scale


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fps": 0}, "fps must be above 0"),
        ({"fps": float("nan")}, "fps must be above 0"),
        ({"fps": 15, "scale": 0}, "scale must be a whole number of 1 or more, got 0"),
    ],
)
def test_bad_numbers_are_refused_at_once(tmp_path: Path, arguments: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Mp4Writer(tmp_path / "film.mp4", **arguments)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_missing_folder_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no folder"):
        Mp4Writer(tmp_path / "nowhere" / "film.mp4", fps=15)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(UserError, match="it is a folder"):
        Mp4Writer(tmp_path / "folder.mp4", fps=15)


def test_an_unwritable_place_is_refused() -> None:
    with pytest.raises(UserError, match="cannot write /proc/film.mp4"):
        Mp4Writer("/proc/film.mp4", fps=15)


@pytest.mark.parametrize("frames", [np.zeros((2, 8, 8, 4), np.uint8), np.zeros((2, 8, 8, 3), np.float32)])
def test_what_are_no_frames_is_refused(tmp_path: Path, frames: np.ndarray) -> None:
    with pytest.raises(UserError, match="expected uint8 frames"), Mp4Writer(tmp_path / "film.mp4", fps=15) as writer:
        writer.write(frames)
    assert list(tmp_path.iterdir()) == []


def test_a_closed_file_takes_no_more(tmp_path: Path) -> None:
    writer = Mp4Writer(tmp_path / "film.mp4", fps=15)
    writer.write(np.zeros((1, 8, 8, 3), np.uint8))
    writer.close()
    writer.close()
    with pytest.raises(UserError, match="is closed"):
        writer.write(np.zeros((1, 8, 8, 3), np.uint8))
