"""Motions on the wire: a GLB, then rows that pose it; recordings are animations; pictures for those who want them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import trimesh

from tests.modalities.skeleton.conftest import clean, validate
from tests.motion import tiny_motion, walk
from tests.streaming.bodies import posed, recording, send, sent, sideways
from tests.streaming.live import LiveServer, until
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.motion.path import seen_from
from unreel.modalities.motion.poses import Poses
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.motion import Motion, from_clip
from unreel.modalities.skeleton.retarget import retarget
from unreel.streaming import protocol as p
from unreel.streaming.meshes import read
from unreel.streaming.present import manner
from unreel.streaming.present.motion import MotionPresenter, here
from unreel.streaming.studio import Studio

__all__ = ["clean", "validate"]


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_motion()


@pytest.fixture(scope="module")
def events(model: Model) -> list[Event]:
    return list(model.session(seed=5).stream(chunks=4))


@pytest.fixture(scope="module")
def server(model: Model) -> Iterator[LiveServer]:
    with LiveServer({"motion": model}) as live:
        yield live


def places(motion: Motion) -> dict[str, np.ndarray]:
    """Where each joint is, (T, 3)."""
    return dict(zip(motion.skeleton.names, motion.positions().transpose(1, 0, 2), strict=True))


def alike(one: Motion, other: Motion, atol: float) -> bool:
    """Whether all joints, by name, are in the same places."""
    a, b = places(one), places(other)
    return set(a) == set(b) and all(np.allclose(a[name], b[name], atol=atol) for name in a)


def shown(presenter: MotionPresenter) -> tuple[p.Media, bytes]:
    """What a viewer of rows is told first."""
    media = p.Media(format="rows", mime="x", width=presenter.size("rows")[1], height=1, fps=30)
    media, glb = presenter.describe(media, b"")
    assert media.bytes == len(glb)
    return media, glb


def test_rows_pose_the_skeleton_of_the_glb(model: Model, events: list[Event]) -> None:
    presenter = MotionPresenter(model, None)
    for event in events:
        presenter.take(event)
        picture = presenter.picture("rows")
        assert picture is not None
        assert picture.frames.shape == (4, 3 + 4 * 22)
        assert picture.key
        there = posed(shown(presenter)[1], picture.frames)
        assert alike(there, event.payload.motion, 1e-5)
    assert presenter._camera is None, "nobody wanted pictures"
    assert presenter.picture("jpeg").frames.shape == (4, 48, 64, 3)  # type: ignore[union-attr]
    assert [len(still.frames) for still in presenter.stills("rows")] == [1]


def test_rows_are_on_the_rig_that_was_sent_and_paths_can_be_drawn_there(model: Model, events: list[Event]) -> None:
    rig = sideways(2.0)
    presenter = MotionPresenter(model, read(model, glb_bytes(rig), ".glb"))
    presenter.take(events[0])
    picture = presenter.picture("rows")
    assert picture is not None
    media, glb = shown(presenter)
    wanted = retarget(events[0].payload.motion, rig.skeleton)
    assert alike(posed(glb, picture.frames), wanted, 1e-4)
    assert media.layout == "poses"
    assert np.allclose(media.ahead or [], [2.0, 0.0], atol=0.02), "twice as far, to +X"


def test_here_is_where_paths_are_told_from(model: Model) -> None:
    """Places are the codec's own; a point straight ahead of `here` is seen straight ahead."""
    session, turn = model.session(seed=5), 0.4
    for event in session.stream(chunks=6):
        told = here(event.payload)
    assert np.allclose(session.state.codec["place"].tolist()[:2], told[:2], atol=1e-3)
    moved = walk(3.0, turn=turn)
    x, z, heading = here(Poses(moved.skeleton, 30.0, moved.root, moved.rotations, np.zeros((moved.frames, 0))))
    assert np.isclose(heading, np.degrees(turn * 3.0), atol=0.1), "to the left is up"
    ahead = np.asarray([[x + 3 * np.sin(turn * 3), z + 3 * np.cos(turn * 3)]])
    assert np.allclose(seen_from(ahead, (x, z, turn * 3)), [[0, 3]], atol=1e-6)


def test_a_program_gets_rows_and_steers(server: LiveServer) -> None:
    with server.connect(format="rows", seed=5, prompt="walk") as live:
        stream = live.chunks()
        first = next(stream)
        rig = read_rig(live.dialogue.init)
        assert first.rows is not None
        assert first.rows.shape == (4, 3 + 4 * len(rig.skeleton))
        assert first.frames.shape[0] == 0
        assert first.header.here is not None
        assert len(first.header.here) == 3
        prompt = live.send("prompt", "run")
        path = live.send("path", {"points": [[0, 0], [0, 9]], "speed": 1.5})
        nowhere = live.send("path", {"points": [[1, 1], [1, 1]]})
        fast = live.send("path", {"points": [[0, 0], [0, 9]], "speed": 99.0})
        chunk = next(c for c in stream if prompt in c.applied)
        until(lambda: next(stream) is not None and len(live.dialogue.controls) >= 7)
        said = {(s.id, s.status): s.reason for s in live.dialogue.controls}
        assert chunk.seq > first.seq
        assert (path, "accepted") in said
        assert "all in one place" in (said[nowhere, "rejected"] or "")
        assert "at most 12" in (said[fast, "rejected"] or "")
        assert live.dialogue.configured is not None
        assert {"prompt", "path", "fork"} <= set(live.dialogue.configured.model.controls)
        assert live.dialogue.configured.model.mesh == "rig"


def test_the_recording_is_the_animation_while_it_runs_and_afterwards(
    server: LiveServer, tmp_path: Path, clean: Callable[[bytes], None]
) -> None:
    with server.connect(format="rows", mesh=sent(server, glb_bytes(sideways())), pace="free") as live:
        configured = live.dialogue.configured
        assert configured is not None
        assert configured.recording is not None
        assert configured.recording.endswith("/recording.glb")
        rows = np.concatenate([chunk.rows for chunk in live.chunks(6)])  # type: ignore[misc]
        part = recording(server, configured)
        assert part.headers["content-type"] == "model/gltf-binary"
        assert read_rig(part.content).clips[0].frames >= 24
        session, init = configured.session, live.dialogue.init
    until(lambda: server.site.recordings.ready(session))
    whole = recording(server, configured)
    assert whole.headers["content-disposition"].endswith('.glb"')
    clean(whole.content)
    rig = read_rig(whole.content)
    clip = rig.clips[0]
    assert clip.frames >= 24
    assert alike(from_clip(rig.skeleton, clip).part(0, 24), posed(init, rows), 1e-3)
    (tmp_path / "a.glb").write_bytes(whole.content)
    assert len(pygltflib.GLTF2().load(str(tmp_path / "a.glb")).animations) == 1
    assert trimesh.load_scene(io.BytesIO(whole.content), file_type="glb").bounds.shape == (2, 3)
    wrong = recording(server, configured.model_copy(update={"key": "not-the-key"}))
    assert wrong.status_code == 404


def test_forks_and_late_watchers_see_the_same_rig(server: LiveServer) -> None:
    with server.connect(format="rows", mesh=sent(server, glb_bytes(sideways())), record=False) as live:
        stream = live.chunks()
        next(stream)
        assert live.dialogue.configured is not None
        with server.connect(watch=live.dialogue.configured.watch, format="rows") as late:
            assert next(late.chunks()).rows.shape[1] == 91  # type: ignore[union-attr]
            assert late.dialogue.init == live.dialogue.init
        live.send("fork")
        until(lambda: next(stream) is not None and live.dialogue.forked is not None)
        fork = live.dialogue.forked
        assert fork is not None
        desks = server.site.studio.desks
        assert desks[fork.session].shape is desks[live.dialogue.configured.session].shape


@pytest.mark.parametrize("format", ["h264", "fmp4", "jpeg", "rgb"])
def test_others_get_pictures(server: LiveServer, format: str) -> None:
    with server.connect(format=format, pace="free") as live:
        chunk = next(live.chunks(1))
        assert live.dialogue.media is not None
        assert live.dialogue.media.layout == "flat"
        assert (live.dialogue.init != b"") is (format == "fmp4")
        if format != "fmp4":
            assert chunk.frames.std() > 3, "somebody is there"


def test_jobs_make_animations(server: LiveServer) -> None:
    import httpx

    url = f"{server.http}/v1/videos"
    job = httpx.post(url, json={"seconds": 1, "prompt": "walk", "mesh": sent(server, glb_bytes(sideways()))}).json()
    assert "id" in job, job
    until(lambda: httpx.get(f"{url}/{job['id']}").json()["status"] == "completed", 20)
    answer = httpx.get(f"{url}/{job['id']}/content")
    assert answer.headers["content-type"] == "model/gltf-binary"
    assert read_rig(answer.content).clips[0].frames == 32, "eight chunks of four poses"


def test_what_is_no_path_is_refused_before_it_reaches_the_model() -> None:
    bad = ('{"points": [[0, 0]]}', '{"points": [[0, 0], [1]]}', '{"points": [[0, 0], [1, NaN]]}', '{"point": 1}')
    for value in bad:
        with pytest.raises(UserError):
            p.parse_client('{"type": "control", "kind": "path", "value": ' + value + "}")
    said = p.Control(kind="path", value=p.Curve(points=[[0, 0], [1, 2]], closed=True))
    assert p.parse_client(said.model_dump_json()) == said


def test_the_server_knows_what_motions_are(server: LiveServer) -> None:
    kind = manner("motion")
    assert (kind.takes, kind.suffix, kind.formats[0]) == ("rig", ".glb", "rows")
    assert isinstance(server.site.studio, Studio)
    assert send(server, glb_bytes(sideways())).status_code == 201
