"""Choosing the writer, and exporting arrays, lists of arrays and events."""

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.media.export import WRITERS, export, open_exporter


@dataclass
class FakeEvent:
    payload: np.ndarray
    final: bool


def count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


@pytest.mark.parametrize("suffix", [suffix for writer in WRITERS for suffix in writer.suffixes])
def test_every_suffix_has_a_writer(tmp_path: Path, film: np.ndarray, suffix: str) -> None:
    with open_exporter(tmp_path / f"film{suffix.upper()}", fps=15) as writer:
        writer.write(film)
    assert any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["film", "film.avi", "film.mp4.part", ".mp4"])
def test_an_unknown_suffix_is_a_clear_error(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match="must end in one of .mp4"):
        open_exporter(tmp_path / name, fps=15)
    assert list(tmp_path.iterdir()) == []


def test_arrays_and_events(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "film.mp4"
    events = [FakeEvent(film[:4], True), FakeEvent(film[:4], False), FakeEvent(film[4:], True)]
    for source in (film, [film[:4], film[4:]], iter(events)):
        exported = export(source, path, fps=15)
        assert (exported.path, exported.frames) == (path, 12)
        assert exported.seconds > 0
        assert count(path) == 12


def test_nothing_to_export_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no frame to write"):
        export([], tmp_path / "film.mp4", fps=15)
    assert list(tmp_path.iterdir()) == []
