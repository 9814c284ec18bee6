"""GIF, WebP and PNG: all frames, the right length, the right pixels."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageSequence

from unreel.engine.errors import UserError
from unreel.modalities.media.images import GifWriter, PngWriter, WebpWriter


def read(path: Path) -> tuple[np.ndarray, list[float], int | None]:
    """Frames, durations in milliseconds and the loop count (0: endless)."""
    with Image.open(path) as image:
        frames, durations = [], []
        for frame in ImageSequence.Iterator(image):
            frames.append(np.asarray(frame.convert("RGB")))
            durations.append(frame.info["duration"])
        return np.stack(frames), durations, image.info.get("loop")


def test_gif(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "film.gif"
    with GifWriter(path, fps=15, scale=2) as writer:
        writer.write(film[:5])
        writer.write(film[5:])
    frames, durations, loop = read(path)
    np.testing.assert_array_equal(frames, film.repeat(2, axis=1).repeat(2, axis=2))  # eight colours fit a palette
    assert sum(durations) == 800  # 12 frames at 15 per second
    assert loop == 0
    assert list(tmp_path.iterdir()) == [path]


def test_gif_is_readable_while_it_is_written(tmp_path: Path, film: np.ndarray) -> None:
    writer = GifWriter(tmp_path / "film.gif", fps=15)
    writer.write(film[:5])
    with Image.open(writer.part) as image:
        assert sum(1 for _ in ImageSequence.Iterator(image)) == 5
    writer.close()


def test_gif_is_too_slow_for_100_frames_per_second(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="at most 50 frames per second, got 100"):
        GifWriter(tmp_path / "film.gif", fps=100)


@pytest.mark.parametrize(("scale", "error"), [(2, 0), (1, 12)])
def test_webp(tmp_path: Path, film: np.ndarray, scale: int, error: float) -> None:
    """Lossless when enlarged; else close in the mean."""
    path = tmp_path / "film.webp"
    with WebpWriter(path, fps=20, scale=scale) as writer:
        writer.write(film)
    frames, durations, loop = read(path)
    want = film.repeat(scale, axis=1).repeat(scale, axis=2).astype(int)
    assert frames.shape == want.shape
    assert np.abs(frames - want).mean() <= error
    assert sum(durations) == pytest.approx(600, abs=60)
    assert loop == 0
    assert list(tmp_path.iterdir()) == [path]


def test_png_sequence(tmp_path: Path, film: np.ndarray) -> None:
    with PngWriter(tmp_path / "film.png", fps=15) as writer:
        writer.write(film[:5])
        writer.write(film[5:])
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == [f"film-{i:05d}.png" for i in range(12)]
    got = np.stack([np.asarray(Image.open(tmp_path / name)) for name in names])
    np.testing.assert_array_equal(got, film)
