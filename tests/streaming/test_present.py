"""streaming/present: what a session's events look like on the wire and in the film, without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from tests.streaming.live import until
from tests.streaming.painted import CAMERA, MAGENTA, PAINT, SIDE, painted_model
from unreel.engine.batch import Seat
from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.media.spherical import read_spherical
from unreel.streaming import protocol as p
from unreel.streaming.backend import Made, Notice, Still
from unreel.streaming.pacing import StreamGate
from unreel.streaming.present import Presenter, manner
from unreel.streaming.recording import Recordings
from unreel.streaming.studio import Studio

WINDOW = 18  # events of one window: six faces, twelve strips


@pytest.fixture(scope="module")
def model() -> Model:
    return painted_model()


@pytest.fixture(scope="module")
def events(model: Model) -> list[Event]:
    made = list(model.session().stream(frames=12))
    assert len(made) == 3 * WINDOW
    return made


@pytest.fixture
def presenter(model: Model) -> Presenter:
    return manner("panorama").presenter(model)


def test_every_event_is_sent_as_it_is_to_those_who_show_cubes(presenter: Presenter, events: list[Event]) -> None:
    keys, whole = [], []
    for event in events:
        presenter.take(event)
        picture = presenter.picture("jpeg")
        assert picture is not None
        assert picture.part.region == event.chunk.region
        assert picture.part.replaces == event.replaces
        assert (picture.part.rect is None) is (event.replaces is None)
        assert picture.part.final is event.final
        assert picture.frames is event.payload.frames
        keys += [event.seq] if picture.key else []
        whole += [event.seq] if picture.whole else []
    assert keys == [0, WINDOW, 2 * WINDOW], "the first face of every window"
    assert whole == [WINDOW - 1, 2 * WINDOW - 1, 3 * WINDOW - 1]


def test_others_get_whole_windows(presenter: Presenter, events: list[Event]) -> None:
    sent = []
    for event in events:
        presenter.take(event)
        picture, film = presenter.picture("h264"), presenter.film()
        assert (picture is None) is (film is None)
        if picture is not None:
            sent.append(picture.seq)
            assert picture.frames.shape == (4, 2 * SIDE, 4 * SIDE, 3)
            assert picture.part.camera == CAMERA
            centre = picture.frames[0, SIDE, 2 * SIDE + SIDE // 4]
            assert np.abs(centre.astype(int) - PAINT["F"]).max() < 3, "forward is in the middle"
            assert np.abs(picture.frames[0, SIDE, 2 * SIDE + SIDE // 2 - 2].astype(int) - MAGENTA).max() < 40
    assert sent == [WINDOW - 1, 2 * WINDOW - 1, 3 * WINDOW - 1]


def test_stills_are_the_six_faces_with_their_strips(presenter: Presenter, events: list[Event]) -> None:
    assert presenter.stills("jpeg") == []
    for event in events[: WINDOW + 8]:  # amid the second window
        presenter.take(event)
    stills = presenter.stills("jpeg")
    assert sorted(one.part.region or "" for one in stills) == sorted("FRBLUD")
    assert [one.seq for one in stills] == sorted(one.seq for one in stills)
    assert {one.part.start for one in stills} == {4}, "one picture, although some faces are of the window before"
    front = next(one for one in stills if one.part.region == "F")
    assert len(front.frames) == 1
    assert tuple(front.frames[0, SIDE // 2, -2]) == MAGENTA
    assert len(presenter.stills("h264")) == 1


def test_after_a_rewind_amid_a_window_nothing_half_made_is_shown(presenter: Presenter, events: list[Event]) -> None:
    for event in [*events[: WINDOW + 7], *events[3:]]:
        presenter.take(event)
    assert presenter.film() is not None, "the windows after it are whole again"


def test_a_reset_begins_a_window_anew_even_with_another_face(presenter: Presenter, model: Model) -> None:
    session = model.session()
    first = list(session.stream(chunks=2))
    session.send("reset")
    session.send("camera", [-90, 0])
    again = list(session.stream(frames=4))
    for event in [*first, *again]:
        presenter.take(event)
        picture = presenter.picture("jpeg")
        assert picture is not None
        assert picture.key is (event.seq in (0, again[0].seq))
    assert again[0].chunk.region == "L"
    assert presenter.film() is not None


def test_the_studio_delivers_faces_stills_and_films(tmp_path: Path, model: Model, events: list[Event]) -> None:
    told: list[Notice] = []
    films = Recordings(tmp_path / "films")
    studio = Studio(films, told.append)
    films.start(), studio.start()
    studio.open("a", model, record=True)
    studio.want("a", frozenset({"jpeg", "rgb", "fmp4"}))
    for event in events:
        studio.put("a", event, 0)
    studio.key("a", "jpeg", still=True)
    until(lambda: sum(isinstance(one, Still) for one in told) == 6)
    assert films.copy_part("a", tmp_path / "part.mp4")
    assert read_spherical(tmp_path / "part.mp4") is not None, "while it grows, too"
    studio.end("a", "finished")
    until(lambda: films.ready("a"))
    made = [one for one in told if isinstance(one, Made)]
    assert [one.seq for one in made] == list(range(3 * WINDOW))
    assert sum(one.frames for one in made) == 12
    assert {len(one.packets["jpeg"].sizes) for one in made} == {4}
    assert len(made[0].packets["rgb"].data) == 4 * SIDE * SIDE * 3
    assert made[0].packets["rgb"].media[0].layout == "cube"
    windows = [one.packets["fmp4"] for one in made if "fmp4" in one.packets]
    media, init = windows[0].media
    assert (len(windows), media.layout, media.width, media.bytes) == (3, "equirectangular", 4 * SIDE, len(init))
    live = tmp_path / "live.mp4"
    live.write_bytes(init + b"".join(one.data for one in windows))
    for path, frames in ((live, 12), (films.films["a"].path, 12)):
        assert read_spherical(path) is not None
        with av.open(str(path)) as film:
            decoded = list(film.decode(video=0))
        assert len(decoded) == frames
        assert "Type.SPHERICAL" in {str(side.type) for side in decoded[0].side_data}
    studio.stop(), films.stop()


def test_only_the_first_face_of_a_window_waits(model: Model) -> None:
    session, gate = model.session(), StreamGate(0.5, 0.0)
    seat = Seat("a", lambda: session, gate, session)
    gate.granted = 10**6
    waits = []
    for now in range(14):
        waits.append(gate.opens(seat, 0.0) > 0)
        gate.begun(seat, now * 0.01)
        before = session.state.next
        stream = session.stream(chunks=1)
        while session.state.next == before:
            next(stream)
    assert [index for index, wait in enumerate(waits) if wait] == [6, 12]


def test_a_chunk_says_only_what_there_is_to_say() -> None:
    timing = p.Timing(model_ms=1, decode_ms=0, encode_ms=0, total_ms=2)
    fields: dict[str, Any] = {
        "seq": 1, "chunk": 1, "frames": 4, "format": "jpeg", "key": True, "sizes": [4], "bytes": 4, "timing": timing,
    }  # fmt: skip
    plain = json.loads(p.Chunk(**fields).model_dump_json())
    assert not {"region", "rect", "final", "start", "camera", "replaces"} & set(plain)
    face = p.Chunk(**fields, region="F", final=False, start=0)
    assert json.loads(face.model_dump_json())["final"] is False
    assert p.parse_server(face.model_dump_json()) == face
    media = p.Media(format="jpeg", mime="x", width=1, height=1, fps=1)
    assert "layout" not in json.loads(media.model_dump_json())
