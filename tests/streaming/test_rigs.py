"""Rigs on the wire: the mesh, then joints as they are made; the recording is the mesh on its skeleton, with a skin."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pygltflib
import pytest
import trimesh

from tests.modalities.skeleton.conftest import clean, validate
from tests.rigs import creature, tiny_rig
from tests.streaming.bodies import recording, sent
from tests.streaming.live import LiveServer, settled, until
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import read_rig
from unreel.modalities.skeleton.meshfile import load_mesh
from unreel.streaming.meshes import read
from unreel.streaming.present import Shape
from unreel.streaming.present import rig as rigs
from unreel.streaming.present.rig import RigPresenter, RigRecording
from unreel.streaming.recording import Recordings

__all__ = ["clean", "validate"]
JOINTS = 12


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_rig()


@pytest.fixture(scope="module")
def shape(model: Model) -> Shape:
    return read(model, glb_bytes(creature()), ".glb")


@pytest.fixture(scope="module")
def events(model: Model, shape: Shape) -> list[Event]:
    session = model.session(seed=5)
    session.send(*shape.controls[0])
    return list(session.stream())


@pytest.fixture(scope="module")
def server(model: Model) -> Iterator[LiveServer]:
    with LiveServer({"rig": model}) as live:
        yield live


def test_every_chunk_has_all_joints_so_far(model: Model, shape: Shape, events: list[Event]) -> None:
    presenter = RigPresenter(model, shape)
    assert (presenter.stills("rows"), presenter.film()) == ([], None)
    for number, event in enumerate(events):
        presenter.take(event)
        picture = presenter.picture("rows")
        assert picture is not None
        assert picture.key
        assert picture.frames.shape == (number + 1, 5)
        joint = event.payload
        assert picture.frames[-1].tolist() == pytest.approx([joint.index, joint.parent, *joint.position])
        assert presenter.film() == [joint]
    presenter.take(events[3])  # rewound to the one before it
    assert presenter.picture("rows").frames[:, 0].tolist() == [0, 1, 2, 3]  # type: ignore[union-attr]
    presenter.take(events[0])
    assert len(presenter.picture("rows").frames) == 1  # type: ignore[union-attr]


def test_pictures_are_of_the_mesh_with_its_bones(
    model: Model, shape: Shape, events: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    presenter = RigPresenter(model, shape)
    stills = []
    for event in events[:4]:
        presenter.take(event)
        stills.append(presenter.picture("jpeg").frames)  # type: ignore[union-attr]
    assert stills[0].shape == (1, *presenter.size("jpeg"), 3) == (1, 288, 288, 3)
    assert all((a != b).any() for a, b in zip(stills, stills[1:], strict=False)), "bones are drawn as they come"
    monkeypatch.setattr(rigs, "DRAWN", 48)
    thin = RigPresenter(model, shape)
    thin.take(events[0])
    apart = np.abs(thin.picture("jpeg").frames.astype(int) - stills[0])  # type: ignore[union-attr]
    assert 0 < apart.mean() < 20, "fewer faces, and still that mesh"


def test_a_recording_follows_rewinds(model: Model, shape: Shape, events: list[Event], tmp_path: Path) -> None:
    made = RigRecording(tmp_path / "a.glb", model, shape)
    assert not made.snapshot(tmp_path / "none.glb")
    for event in [*events[:6], *events[2:4]]:
        made.write([event.payload])
    made.close()
    assert len(read_rig(tmp_path / "a.glb").skeleton) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.glb"]


def test_other_films_do_not_wait_for_a_skin(model: Model, shape: Shape, events: list[Event], tmp_path: Path) -> None:
    held, told = threading.Event(), []
    films = Recordings(tmp_path / "films")

    class Slow(RigRecording):
        def close(self) -> None:
            held.wait(20)
            super().close()

    films.start()
    films.write("rig", [events[0].payload], 24, lambda path, fps: Slow(path, model, shape), ".glb")
    films.finish("rig", lambda: told.append("rig"))
    films.write("film", np.full((2, 16, 16, 3), 90, np.uint8), 10)
    films.finish("film", lambda: told.append("film"))
    until(lambda: told == ["film"])
    assert not films.ready("rig")
    held.set()
    films.stop()
    assert told == ["film", "rig"]
    assert len(read_rig(tmp_path / "films" / "rig.glb").skeleton) == 1


def test_joints_come_one_by_one_and_then_the_skin(
    server: LiveServer, tmp_path: Path, clean: Callable[[bytes], None]
) -> None:
    mesh = creature()
    with server.connect(mesh=sent(server, glb_bytes(mesh)), format="rows", seed=3) as live:
        configured = live.dialogue.configured
        assert configured is not None
        assert (configured.model.modality, configured.model.mesh) == ("rig", "surface")
        chunks = list(live.chunks())
        assert live.dialogue.over == "finished"
        assert live.dialogue.media is not None
        assert live.dialogue.media.layout == "joints"
        assert np.allclose(load_mesh(live.dialogue.init, ".glb").positions, mesh.positions)
    assert [chunk.header.frames for chunk in chunks] == list(range(1, JOINTS + 1))
    joints = chunks[-1].rows
    assert joints is not None
    answer = recording(server, configured)
    assert answer.headers["content-type"] == "model/gltf-binary"
    clean(answer.content)
    rig = read_rig(answer.content)
    found = sorted(map(tuple, np.round(rig.skeleton.positions, 3).tolist()))
    assert np.allclose(found, sorted(map(tuple, np.round(joints[:, 2:], 3).tolist())), atol=2e-3)
    assert np.allclose(rig.mesh.positions, mesh.positions, atol=1e-5)
    assert np.allclose(rig.weights.sum(1), 1, atol=1e-5)
    (tmp_path / "a.glb").write_bytes(answer.content)
    assert len(pygltflib.GLTF2().load(str(tmp_path / "a.glb")).skins[0].joints) == JOINTS
    assert len(trimesh.load_scene(io.BytesIO(answer.content), file_type="glb").geometry) >= 6


def test_without_a_mesh_there_is_no_session_but_there_is_an_example(server: LiveServer) -> None:
    with pytest.raises(UserError, match=r'needs a mesh: upload one with POST /v1/meshes, or give mesh "example"'):
        server.connect(format="rows").__enter__()
    assert not server.hub.rooms
    with server.connect(mesh="example", format="rows", pace="free") as live:
        assert len(list(live.chunks())) == JOINTS


def test_pausing_stepping_watching_and_what_a_rig_does_not_do(server: LiveServer) -> None:
    with server.connect(mesh="example", format="rows") as live:
        stream = live.chunks()
        next(stream)
        live.send("pause")
        configured = live.dialogue.configured
        assert configured is not None
        assert "fork" not in configured.model.controls
        room = server.hub.rooms[configured.session]
        until(lambda: room.paused)
        seen = settled(lambda: room.next_seq)
        with server.connect(watch=configured.watch, format="rows") as late:
            first = next(late.chunks())
            assert first.rows is not None
            assert first.rows[:, 0].tolist() == list(range(seen)), "a newcomer has all joints at once"
        fork = live.send("fork")
        live.send("step", 1)
        while (chunk := next(stream)).seq < seen:
            pass
        assert chunk.header.frames == seen + 1
        assert recording(server, configured).status_code == 200, "as far as it is"
        said = {status.id: status for status in live.dialogue.controls}
        assert said[fork].status == "rejected"
        assert "no forks" in (said[fork].reason or "")


def test_what_cannot_be_shown_ends_that_session_alone(server: LiveServer, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: RigPresenter, event: Event) -> None:
        raise ValueError("no")

    with monkeypatch.context() as patch:
        patch.setattr(RigPresenter, "take", broken)
        with pytest.raises(UserError, match="cannot be shown"), server.connect(mesh="example", format="rows") as live:
            next(live.chunks())
    with server.connect(mesh="example", format="rows", pace="free") as live:
        assert len(list(live.chunks(3))) == 3


def test_unreel_watch_opens_a_session_about_a_mesh(
    server: LiveServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from unreel.commands.watch import watch

    mesh, film, url = tmp_path / "Creature.GLB", tmp_path / "rig.mp4", f"ws://127.0.0.1:{server.port}"
    mesh.write_bytes(glb_bytes(creature()))
    watch(url, film, seconds=30, mesh=str(mesh), seed=3)
    assert f"{film}: {JOINTS} frames" in capsys.readouterr().out
    mesh.write_bytes(b"no mesh")
    with pytest.raises(UserError, match=r"Creature\.GLB: the file is no glTF file"):
        watch(url, film, mesh=str(mesh))
    with pytest.raises(UserError, match=r"cannot read .*none\.obj: No such file"):
        watch(url, film, mesh=str(tmp_path / "none.obj"))
    with pytest.raises(UserError, match="does not go with --watch"):
        watch(url, film, mesh="example", view="somebody")
    with pytest.raises(UserError, match="is `unreel serve` running there"):
        watch("ws://127.0.0.1:9", film, mesh=str(mesh))
