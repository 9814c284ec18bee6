"""What a film says of itself."""

from pathlib import Path

import av
import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.media.facts import film_facts, film_lines
from unreel.modalities.media.mp4 import Mp4Writer
from unreel.modalities.media.spherical import SphericalInfo, write_spherical
from unreel.modalities.media.webm import WebmWriter


@pytest.mark.parametrize(("writer", "ending", "codec"), [(Mp4Writer, "mp4", "h264"), (WebmWriter, "webm", "vp9")])
def test_facts(tmp_path: Path, film: np.ndarray, writer: type[Mp4Writer], ending: str, codec: str) -> None:
    path = tmp_path / f"film.{ending}"
    with writer(path, fps=12, scale=1, spherical=SphericalInfo()) as file:
        file.write(film)
    facts = film_facts(path)
    assert facts["codec"].endswith(codec)
    assert (facts["width"], facts["height"], facts["fps"], facts["frames"]) == (64, 64, 12, 12)
    assert facts["seconds"] == pytest.approx(1)
    assert facts["bytes"] == path.stat().st_size
    assert facts["colour"] == {"primaries": "bt709", "transfer": "bt709", "matrix": "bt709", "range": "limited"}
    assert facts["spherical"]["projection"] == "equirectangular"
    lines = "\n".join(film_lines(path, facts))
    for part in ("64x64", "12 at 12 per second", "1 s", "equirectangular, mono", "versions 1 and 2", "unreel"):
        assert part in lines


def test_what_is_only_told_where_it_is_so(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "film.mp4"
    with Mp4Writer(path, fps=12, scale=1) as file:
        file.write(film)
    assert "none: players show this film flat" in film_lines(path, film_facts(path))[-1]
    write_spherical(path, SphericalInfo(yaw=-90, crop=(0.25, 0, 0, 0), stereo="top-bottom", versions=(2,)))
    lines = "\n".join(film_lines(path, film_facts(path)))
    for part in ("equirectangular, top-bottom", "version 2 only", "yaw -90, pitch 0", "top 25.0%"):
        assert part in lines
    write_spherical(path, SphericalInfo("cubemap", padding=8))
    assert "8 pixels around each face" in film_lines(path, film_facts(path))[-1]


def test_a_film_without_tags(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 32, "yuv420p"
        for _ in range(3):
            container.mux(stream.encode(av.VideoFrame(32, 32, "yuv420p")))
        container.mux(stream.encode())
    facts = film_facts(path)
    assert facts["frames"] == 3
    assert set(facts["colour"].values()) <= {"untagged", "limited"}
    assert facts["spherical"] is None


def test_what_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    with pytest.raises(UserError, match="No such file"):
        film_facts(path)
    path.write_bytes(b"nothing of the kind, but long enough")
    with pytest.raises(UserError, match="expected a whole MP4 or WebM"):
        film_facts(path)
    sound = tmp_path / "sound.mkv"
    with av.open(str(sound), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        frame.rate = 8000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with pytest.raises(UserError, match="no video"):
        film_facts(sound)
