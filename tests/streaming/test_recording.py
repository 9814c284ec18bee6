"""streaming/recording.py: whole films while they grow and afterwards, bounded, and one fault does not spoil another."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.streaming.live import until
from unreel.streaming.recording import Recordings

CHUNK = np.full((2, 16, 16, 3), 90, np.uint8)


@pytest.fixture
def films(tmp_path: Path) -> Iterator[Recordings]:
    made = Recordings(tmp_path / "films")
    made.start()
    yield made
    made.stop()


def frames(path: Path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_a_part_is_a_film_and_so_is_the_whole(films: Recordings, tmp_path: Path) -> None:
    assert not films.copy_part("a", tmp_path / "part.mp4")
    for _ in range(6):
        films.write("a", CHUNK, 10)
    until(lambda: "a" in films.films and films.films["a"].frames == 12)
    assert films.copy_part("a", tmp_path / "part.mp4")
    assert frames(tmp_path / "part.mp4") >= 11, "the last frame's length is not known yet"
    assert not films.ready("a")
    told: list[str] = []
    films.finish("a", lambda: told.append("done"))
    until(lambda: told == ["done"])
    assert films.ready("a")
    assert frames(films.films["a"].path) == 12


def test_a_film_that_cannot_be_written_spoils_no_other(films: Recordings, monkeypatch: pytest.MonkeyPatch) -> None:
    films.write("bad", CHUNK, 10)
    films.write("good", CHUNK, 10)
    until(lambda: len(films.films) == 2 and films.films["good"].frames == 2)

    def full(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(films.films["bad"].writer, "write", full)
    films.write("bad", CHUNK, 10)
    films.write("good", CHUNK, 10)
    films.finish("bad")
    films.finish("good")
    until(lambda: films.ready("good"))
    assert films.films["bad"].failed
    assert not films.ready("bad")


def test_old_and_big_films_go(tmp_path: Path) -> None:
    now = [0.0]
    films = Recordings(tmp_path / "films", keep_s=100, clock=lambda: now[0])
    films.start()
    films.write("a", CHUNK, 10)
    films.finish("a")
    until(lambda: films.ready("a"))
    now[0] = 101.0
    films.prune()
    until(lambda: "a" not in films.films)
    assert list((tmp_path / "films").iterdir()) == []
    films.stop()
    small = Recordings(tmp_path / "small", keep_bytes=1)
    small.start()
    for _ in range(3):
        small.write("b", CHUNK, 10)
    small.stop()
    assert small.films == {} or small.films["b"].frames <= 2


def test_stop_finishes_everything(tmp_path: Path) -> None:
    films = Recordings(tmp_path / "films")
    films.start()
    for id in ("a", "b"):
        films.write(id, CHUNK, 10)
    films.stop()
    assert sorted(frames(path) for path in (tmp_path / "films").glob("*.mp4")) == [2, 2]


def test_a_temporary_folder_is_removed() -> None:
    films = Recordings()
    films.start()
    films.write("a", CHUNK, 10)
    films.stop()
    assert not films.folder.exists()
