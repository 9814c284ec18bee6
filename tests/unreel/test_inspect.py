"""`unreel inspect` of films; models are in test_generate.py and test_convert.py."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from unreel.modalities.media.mp4 import Mp4Writer
from unreel.modalities.media.spherical import SphericalInfo
from unreel.modalities.media.webm import WebmWriter

Cli = Callable[..., tuple[int, str, str]]


@pytest.mark.parametrize(("writer", "ending"), [(Mp4Writer, "mp4"), (WebmWriter, "webm"), (Mp4Writer, "MP4")])
def test_a_panorama(cli: Cli, tmp_path: Path, writer: type[Mp4Writer], ending: str) -> None:
    path = tmp_path / f"pano.{ending}"
    with writer(path, fps=8, scale=1, spherical=SphericalInfo()) as film:
        film.write(np.zeros((8, 64, 128, 3), np.uint8))
    code, out, err = cli("inspect", path)
    assert (code, err) == (0, "")
    for part in ("128x64", "8 at 8 per second", "duration     1 s", "equirectangular, mono", "versions 1 and 2"):
        assert part in out
    code, out, _ = cli("inspect", path, "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["spherical"]["versions"] == [1, 2]
    assert facts["frames"] == 8


def test_an_ordinary_film_and_no_film(cli: Cli, tmp_path: Path) -> None:
    path = tmp_path / "flat.mp4"
    with Mp4Writer(path, fps=8, scale=1) as film:
        film.write(np.zeros((1, 64, 128, 3), np.uint8))
    code, out, _ = cli("inspect", path)
    assert code == 0
    assert "spherical    none" in out
    path.write_bytes(path.read_bytes()[:200])
    code, out, err = cli("inspect", path)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert "expected a whole MP4 or WebM" in err
    code, _, err = cli("inspect", tmp_path / "none.webm")
    assert code == 2
    assert "No such file" in err


def test_help_has_both_examples(cli: Cli) -> None:
    code, out, _ = cli("inspect", "--help")
    assert code == 0
    assert "unreel inspect dream" in out
    assert "unreel inspect pano.mp4" in out
