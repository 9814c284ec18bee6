"""The pages for rigs and motions in a real browser: joints appear, skins follow joints, rigs move on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.motion import tiny_motion
from tests.rigs import tiny_rig
from tests.streaming.bodies import posed, sideways
from tests.streaming.live import LiveServer, until
from unreel.engine.batch import Limits
from unreel.engine.model import Model
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.gltf import read_rig
from unreel.streaming.present import rig as rigs
from unreel.streaming.present.motion import MotionPresenter

pytestmark = pytest.mark.browser
test_page = pytest.importorskip("tests.streaming.test_page", reason="needs playwright and chromium (make system)")
browser, page, data, wait, playing = (
    getattr(test_page, name) for name in ("browser", "page", "data", "wait", "playing")
)

# The pose of the bones, as a row, and where three.js has every vertex of the skin then.
SKINNED = """(part) => {
    const stage = document.getElementById("space").stage, { model } = stage;
    if (part !== null) {
        stage.space.each = null;  // hold still
        stage.sway(part);
    }
    model.scene.updateMatrixWorld(true);
    const places = [], at = model.scene.position.clone();
    for (const mesh of model.meshes) {
        mesh.skeleton.update();
        for (let k = 0; k < mesh.geometry.attributes.position.count; k++) {
            places.push(mesh.localToWorld(mesh.getVertexPosition(k, at)).toArray());
        }
    }
    const row = [...model.bones[0].position.toArray(), ...model.bones.flatMap((bone) => bone.quaternion.toArray())];
    return { row, shown: [...(stage.row ?? [])], places };
}"""


COUNT_SHOWS = """() => {
    const { space } = document.getElementById("space").stage, { dataset } = document.body;
    const show = space.show.bind(space);
    dataset.shows = "";
    space.show = async (...told) => {
        const found = await show(...told);
        dataset.shows = `${dataset.shows} ${found.bones.length ? "skinned" : "bare"}`.trim();
        return found;
    };
}"""


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_motion()


@pytest.fixture(scope="module")
def server(model: Model) -> Iterator[LiveServer]:
    slow = tiny_rig(media={"fps": 6, "height": 48, "width": 48})  # so that there is time to look at half a skeleton
    with LiveServer({"rig": slow, "motion": model}, limits=Limits(sessions=8), resume_s=5.0) as live:
        yield live


@pytest.fixture(scope="module")
def mover(model: Model) -> Iterator[LiveServer]:
    with LiveServer({"motion": model}, limits=Limits(sessions=8), resume_s=5.0) as live:
        yield live


def rig_example(page: Any, server: LiveServer) -> None:
    page.goto(server.http)
    page.click("#mesh-example")
    wait(page, "document.body.dataset.modality === 'rig' && Number(document.body.dataset.joints) >= 2")


def check_skin(page: Any, glb: bytes, part: float | None = None) -> dict[str, Any]:
    """That three.js has every vertex where our own skinning puts it in the pose that is shown: to 1e-3 of the size."""
    seen: dict[str, Any] = page.evaluate(SKINNED, part)
    rig, pose = read_rig(glb), posed(glb, np.asarray([seen["row"]], np.float32))
    wanted, size = rig.posed(pose.globals()[0]).positions, float(np.ptp(rig.mesh.bounds, 0).max())
    assert np.abs(np.asarray(seen["places"]) - wanted).max() < 1e-3 * size
    away = np.linalg.norm(rig.mesh.positions - rig.mesh.positions.mean(0) - (wanted - wanted.mean(0)), axis=1)
    assert away.max() > 0.02 * size, "it is not the rest pose"
    return seen


def colours(page: Any) -> int:
    """How many colours the stage shows."""
    pixels = page.evaluate("""() => {
        const { space } = document.getElementById("space").stage;
        space.draw();
        const gl = space.renderer.getContext();
        const out = new Uint8Array(4 * gl.drawingBufferWidth * gl.drawingBufferHeight);
        gl.readPixels(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight, gl.RGBA, gl.UNSIGNED_BYTE, out);
        const seen = new Set();
        for (let k = 0; k < out.length; k += 4) seen.add((out[k] << 16) + (out[k + 1] << 8) + out[k + 2]);
        return seen.size;
    }""")
    return int(pixels)


def test_a_mesh_is_asked_for_then_joints_appear_and_at_last_the_skin(server: LiveServer, page: Any) -> None:
    page.goto(server.http)
    wait(page, "!document.getElementById('veil').hidden")
    assert "Choose a mesh" in page.inner_text("#veil")
    assert page.is_visible("#mesh-file")
    assert not server.hub.rooms
    rig_example(page, server)
    first = page.evaluate("""() => {
        const { spheres, bones, model } = document.getElementById("space").stage;
        const { opacity, transparent } = model.meshes[0].material;
        return { dots: spheres.count, bones: bones.count, opacity, transparent };
    }""")
    assert first["dots"] >= 2
    assert first["bones"] == first["dots"] - 1
    assert first["transparent"]
    assert first["opacity"] < 0.6
    wait(page, "document.body.dataset.skin === '12'")
    assert page.inner_text("#status") == "Rigged: 12 joints"
    room = data(page)["session"]
    check_skin(page, server.site.recordings.films[room].path.read_bytes(), 0.06)
    assert colours(page) > 50
    page.evaluate(COUNT_SHOWS)
    page.click("#again")  # the same mesh: it is bare again, and gets its skin again
    wait(page, f"document.body.dataset.session !== '{room}' && document.body.dataset.skin === '12'")
    assert page.evaluate("document.body.dataset.shows") == "bare skinned"


def test_the_rigged_file_downloads_and_a_rig_of_no_body_is_told_why_not(
    server: LiveServer, browser: Any, tmp_path: Path
) -> None:
    page = browser.new_page()  # of its own: the browser complains of the refusal
    rig_example(page, server)
    wait(page, "document.body.dataset.skin === '12' && !document.getElementById('move').hidden")
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(tmp_path / "rigged.glb")
    assert len(read_rig(tmp_path / "rigged.glb").skeleton) == 12
    with page.expect_response("**/v1/meshes") as answer:
        page.click("#move")
    assert answer.value.status == 400
    wait(page, "document.getElementById('status').textContent.includes('no body')")
    assert data(page)["modality"] == "rig"
    page.close()


def test_a_finished_rig_of_a_body_moves_on(server: LiveServer, page: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rig that a good model would have made is put in the place of the tiny model's."""
    monkeypatch.setattr(rigs, "assemble", lambda *_: sideways())
    rig_example(page, server)
    wait(page, "document.body.dataset.skin === '22' && !document.getElementById('move').hidden")
    page.evaluate("document.getElementById('prompt').value = 'walk'")
    page.click("#move")
    wait(page, "document.body.dataset.modality === 'motion'")
    playing(page, 8)
    assert page.input_value("#model") == "motion"
    assert page.inner_text("#mesh-send") == "Move it", "the form is that of the model"
    seat = server.site.workers["motion"].seats[data(page)["session"]]
    assert seat.session is not None
    assert "text" in seat.session.state.held, "it was told what to do"
    room = server.hub.rooms[data(page)["session"]]
    desk = server.site.studio.desks[room.id]
    assert desk.shape is not None
    assert desk.shape.content.skeleton.names[0] == "Hips"


@pytest.mark.parametrize("own", [False, True])
def test_every_vertex_follows_its_joints(mover: LiveServer, page: Any, tmp_path: Path, own: bool) -> None:
    """Where three.js has the skin in the pose that is shown, against our own skinning of that pose."""
    rig = sideways() if own else None
    page.goto(mover.http)
    if rig is not None:
        (tmp_path / "own.glb").write_bytes(glb_bytes(rig))
        playing(page, 2)
        page.set_input_files("#mesh-file", tmp_path / "own.glb")
        before = data(page)["session"]
        page.click("#mesh-send")
        wait(page, f"document.body.dataset.session !== '{before}'")
    playing(page, 10)
    presenter = mover.site.studio.desks[data(page)["session"]].presenter
    assert isinstance(presenter, MotionPresenter)
    assert presenter.rig is not None
    assert ("Hips" in presenter.rig.skeleton.names) is own
    seen = check_skin(page, presenter.glb)
    assert np.allclose(seen["row"], seen["shown"], atol=1e-6), "the row that came"


def test_words_and_paths_are_obeyed_and_the_animation_downloads(mover: LiveServer, page: Any, tmp_path: Path) -> None:
    page.goto(mover.http)
    playing(page)
    page.fill("#prompt", "walk in a circle")
    page.click("#prompt-form button")
    wait(page, "document.body.dataset.control === 'prompt applied'")
    wait(page, "document.body.dataset.latency !== undefined")
    page.click("[data-path=circle]")
    wait(page, "document.body.dataset.control === 'path applied'")
    line = page.evaluate("""() => {
        const { line, here } = document.getElementById("space").stage;
        return { points: line.geometry.attributes.position.count, here };
    }""")
    assert line["points"] >= 49
    assert page.get_attribute("[data-path=circle]", "aria-pressed") == "true"
    seat = mover.worker.seats[data(page)["session"]]
    assert seat.session is not None
    held = seat.session.state.held
    assert held["path"].value["closed"] is True
    assert not torch.equal(torch.tensor(held["text"].value), torch.zeros(len(held["text"].value)))
    page.click("[data-path=free]")
    wait(page, "document.getElementById('space').stage.line === null")
    with page.expect_download() as download:
        page.click("#download")
    download.value.save_as(tmp_path / "walk.glb")
    assert read_rig(tmp_path / "walk.glb").clips[0].frames > 8
    assert colours(page) > 50


def test_pause_step_back_and_a_lost_connection(mover: LiveServer, page: Any) -> None:
    page.goto(mover.http)
    playing(page, 70)
    page.click("#back")
    wait(page, "document.body.dataset.control === 'rewind applied'")
    page.click("#pause")
    wait(page, "document.body.dataset.state === 'paused'")
    page.wait_for_timeout(400)
    stopped = int(data(page)["frames"])
    page.click("#step")
    wait(page, f"Number(document.body.dataset.frames) === {stopped + 4}")
    page.click("#pause")
    session, loop = data(page)["session"], mover.site._loop
    assert loop is not None

    def cut() -> None:
        for connection in list(mover.hub.connections):
            mover.hub.leave(connection, mover.site.clock())
            connection.close("slow", kept=True)

    loop.call_soon_threadsafe(cut)
    until(lambda: not mover.hub.connections or data(page)["state"] == "connecting")
    playing(page, 10)
    assert data(page)["session"] == session


def test_a_browser_without_webgl_is_sent_pictures(mover: LiveServer, page: Any) -> None:
    page.add_init_script("""
        const usual = HTMLCanvasElement.prototype.getContext;
        HTMLCanvasElement.prototype.getContext = function (kind, ...more) {
            return kind.startsWith("webgl") ? null : usual.call(this, kind, ...more);
        };
    """)
    page.goto(mover.http)
    playing(page)
    assert page.inner_text("#hud-format").startswith(("h264", "jpeg"))


@pytest.mark.parametrize("which", ["rig", "motion"])
def test_it_fits_a_phone(server: LiveServer, mover: LiveServer, browser: Any, which: str) -> None:
    context = browser.new_context(viewport={"width": 360, "height": 740}, has_touch=True)
    page = context.new_page()
    if which == "rig":
        rig_example(page, server)
    else:
        page.goto(mover.http)
        playing(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.getElementById('space').clientHeight") > 200
    context.close()
