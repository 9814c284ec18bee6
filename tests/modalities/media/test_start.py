"""Start frames from images, clips and arrays, and the errors of what is none of them."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unreel.engine.errors import UserError
from unreel.modalities.media.export import export
from unreel.modalities.media.start import load_start


def test_none_stays_none() -> None:
    assert load_start(None, 4, 64, 64) is None


def test_an_image_stands_still(tmp_path: Path, bars: np.ndarray) -> None:
    Image.fromarray(bars).save(tmp_path / "bars.png")
    got = load_start(tmp_path / "bars.png", 4, 64, 64)
    assert got is not None
    np.testing.assert_array_equal(got, np.stack([bars] * 4))


@pytest.mark.parametrize("suffix", [".mp4", ".gif"])
@pytest.mark.parametrize(("take", "where"), [("first", slice(0, 4)), ("last", slice(8, 12))])
def test_a_clip_gives_its_first_or_last_frames(
    tmp_path: Path, film: np.ndarray, suffix: str, take: str, where: slice
) -> None:
    path = tmp_path / f"film{suffix}"
    export(film, path, fps=15, scale=1)
    got = load_start(path, 4, 64, 64, take=take)  # type: ignore[arg-type]
    assert got is not None
    assert got.shape == (4, 64, 64, 3)
    assert np.abs(got[:, 16, 8::16].astype(int) - film[where, 16, 8::16]).max() <= 3


def test_arrays(film: np.ndarray) -> None:
    got = load_start(film, 4, 64, 64)
    assert got is not None
    np.testing.assert_array_equal(got, film[-4:])
    got = load_start(film[0], 2, 64, 64)
    assert got is not None
    np.testing.assert_array_equal(got, np.stack([film[0]] * 2))


def test_another_size_is_an_error_unless_cropping_was_asked_for(tmp_path: Path) -> None:
    picture = np.zeros((100, 300, 3), np.uint8)
    picture[:, 100:200] = 255  # the middle square is white
    Image.fromarray(picture).save(tmp_path / "wide.png")
    with pytest.raises(UserError, match="is 300x100 pixels, expected 64x64; resize it, or"):
        load_start(tmp_path / "wide.png", 2, 64, 64)
    notes: list[str] = []
    got = load_start(tmp_path / "wide.png", 2, 64, 64, fit="crop", note=notes.append)
    assert got is not None
    assert got.shape == (2, 64, 64, 3)
    assert got.min() == 255
    assert len(notes) == 1
    assert "middle 100x100" in notes[0]


@pytest.mark.parametrize("name", ["noise.png", "noise.mp4", "noise.txt", "empty.png", "empty.mp4"])
def test_unreadable_files_are_one_clear_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"" if "empty" in name else bytes(range(256)) * 4)
    with pytest.raises(UserError, match="no image or video that can be read") as caught:
        load_start(tmp_path / name, 2, 64, 64)
    assert "\n" not in str(caught.value)


def test_a_truncated_image_is_an_error(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    path = tmp_path / "noise.png"
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(UserError, match="no image or video that can be read"):
        load_start(path, 2, 64, 64)


def test_a_missing_file_and_a_short_clip(tmp_path: Path, film: np.ndarray) -> None:
    with pytest.raises(UserError, match="does not exist"):
        load_start(tmp_path / "nothing.png", 2, 64, 64)
    with pytest.raises(UserError, match="has 3 frames, expected at least 4"):
        load_start(film[:3], 4, 64, 64)


def test_fewer_frames_will_do_down_to_the_least(film: np.ndarray) -> None:
    for given, least, want in ((film[:3], 2, 3), (film, 2, 8), (film[0], 2, 2)):
        got = load_start(given, 8, 64, 64, least=least)
        assert got is not None
        assert len(got) == want
