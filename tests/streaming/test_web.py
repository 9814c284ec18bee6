"""streaming/web: what needs no browser, run by Node where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch

from unreel.modalities.panorama.cubemap import view_rays
from unreel.streaming import protocol, server

WEB = Path(server.__file__).parent / "web"
NODE = shutil.which("node")


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_keys_held_become_an_action_the_model_knows(tmp_path: Path) -> None:
    cases = [
        ([], "none"), (["w"], "w"), (["d", "w"], "wd"), (["w", "a"], "wa"), (["a", "d"], "d"), (["w", "s"], "s"),
        (["w", "d", "s"], "s"),
    ]  # fmt: skip
    actions = ["none", "w", "a", "s", "d", "wa", "wd", "as", "sd"]
    (tmp_path / "keys.mjs").write_text((WEB / "keys.js").read_text(encoding="utf-8"), encoding="utf-8")
    script = tmp_path / "run.mjs"
    script.write_text(
        'import { actionOf } from "./keys.mjs";\n'
        f"console.log(JSON.stringify({json.dumps([held for held, _ in cases])}"
        f".map((held) => actionOf(held, {json.dumps(actions)}))));"
    )
    assert NODE is not None
    done = subprocess.run([NODE, str(script)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [action for _, action in cases]


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_a_new_world_is_announced_once_and_not_in_replays(tmp_path: Path) -> None:
    for name in ("stream.js", "hud.js", "wire.js"):
        (tmp_path / name).write_text((WEB / name).read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "run.js").write_text(
        'import { Stream } from "./stream.js";\n'
        "globalThis.setTimeout = (then) => (globalThis.later = then);\n"
        'const stream = new Stream("x", { dataset: { state: "playing" } }, {}, {});\n'
        "stream.stage = { player: { push() {} } };\n"
        "const say = (chunk, applied, replay = false) =>\n"
        '  (stream._message({ type: "chunk", seq: chunk, chunk, applied, replay }), stream.hud.words.status);\n'
        'const said = [say(1, []), say(2, ["restart-2"], true), say(3, ["k1", "restart-3"])];\n'
        "later();\n"
        "console.log(JSON.stringify([...said, stream.hud.words.status]));"
    )
    assert NODE is not None
    done = subprocess.run([NODE, str(tmp_path / "run.js")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert said == ["Connecting", "Connecting", "The world was over: a new one begins", "Live"]


def test_the_page_speaks_this_version_and_loads_nothing_from_elsewhere() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in WEB.iterdir() if path.is_file()}
    assert f'VERSION = "{protocol.VERSION}"' in texts["wire.js"]
    for name, text in texts.items():
        addresses = [url for url in re.findall(r"https?://[^\s\"'`)]+", text) if "www.w3.org" not in url]
        assert addresses == [], f"{name} refers to {addresses}"
    for source in re.findall(r'(?:src|href)="(/web/[^"]+)"', texts["index.html"]):
        assert (WEB / source.removeprefix("/web/")).exists()
    assert "<script>" not in texts["index.html"]
    assert "style=" not in texts["index.html"], "the page's policy forbids inline style and script"


def test_what_is_vendored_stands_alone_and_says_what_it_is() -> None:
    vendor = WEB / "vendor"
    text = (vendor / "three.min.js").read_text(encoding="utf-8")
    assert text.startswith("// three.js 0.187.0, MIT, see three-LICENSE.md")
    assert "The MIT License" in (vendor / "three-LICENSE.md").read_text(encoding="utf-8")
    assert re.findall(r"(?:from|import)\s*\(?[\"'](?:\.|/|three)", text) == [], "it imports nothing"
    used = {name for path in WEB.glob("*.js") for name in re.findall(r"THREE\.(\w+)", path.read_text(encoding="utf-8"))}
    exported = set(re.findall(r"(?:\bas )?(\w+)[,}]", text[text.rindex("export{") :]))
    assert used <= exported
    assert "three.min.js" not in (WEB / "app.js").read_text(encoding="utf-8"), "loaded for bodies alone"


PATHS = """
import { PATHS } from "./motion.mjs";
const found = {};
for (const [name, path] of Object.entries(PATHS)) found[name] = path(3, -2, 30);
console.log(JSON.stringify(found));
"""


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_paths_begin_where_the_body_is_and_as_it_faces(tmp_path: Path) -> None:
    from unreel.modalities.motion.controls import PathCondition
    from unreel.modalities.motion.path import ahead

    text = (WEB / "motion.js").read_text(encoding="utf-8")
    (tmp_path / "motion.mjs").write_text(re.sub(r"^import .*$", "", text, flags=re.M), encoding="utf-8")
    (tmp_path / "run.mjs").write_text(PATHS, encoding="utf-8")
    assert NODE is not None
    done = subprocess.run([NODE, str(tmp_path / "run.mjs")], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    assert set(said) == {"straight", "circle", "square"}
    for name, path in said.items():
        curve = protocol.Curve.model_validate(path)
        checked = PathCondition().check(curve.model_dump())
        assert checked is not None
        told, _ = ahead(np.asarray(checked["points"]), checked["closed"], 1.2, (3, -2, np.radians(30)), 0.0)
        assert told[1] > 0.4, f"{name} leads ahead"
        assert abs(told[0]) < 0.15, f"{name} begins straight on"
    circle = np.asarray(said["circle"]["points"])
    assert np.allclose(np.linalg.norm(circle - circle.mean(0), axis=1), 2)


@pytest.mark.skipif(NODE is None, reason="node is not installed")
def test_the_pages_cube_is_the_models(tmp_path: Path) -> None:
    """Axes, faces and WebGL's own picture coordinates (OpenGL ES 3.0, table 3.21) against cubemap.py."""
    from unreel.modalities.panorama.cube import FACES, axes, rays

    (tmp_path / "cube.mjs").write_text((WEB / "cube.js").read_text(encoding="utf-8"), encoding="utf-8")
    size, turns = 4, [[0, 0, 0], [90, 0, 0], [-135, 30, 0], [20, -70, 15], [180, 89, -40]]
    world = {face: rays(face, size).tolist() for face in FACES}
    script = tmp_path / "run.mjs"
    script.write_text(
        'import { TARGETS, axes, faceOf, heading, toGl, wrap } from "./cube.mjs";\n'
        f"const world = {json.dumps(world)}, turns = {json.dumps(turns)}, size = {size};\n"
        """
const table = [  // of +X -X +Y -Y +Z -Z: s and t grow with
  ([x, y, z]) => [-z / x, -y / x], ([x, y, z]) => [z / -x, -y / -x], ([x, y, z]) => [x / y, z / y],
  ([x, y, z]) => [x / -y, -z / -y], ([x, y, z]) => [x / z, -y / z], ([x, y, z]) => [-x / -z, -y / -z]];
const found = {};
for (const [face, rows] of Object.entries(world)) found[face] = rows.map((row) => row.map((ray) => {
  const [s, t] = table[TARGETS[face]](toGl(ray));
  return [faceOf(ray), Math.round(((s + 1) / 2) * size - 0.5), Math.round(((t + 1) / 2) * size - 0.5)];
}));
const ways = turns.map(([yaw, pitch, roll]) => axes({ yaw, pitch, roll }));
const words = [0, 90, -90, 180].map((yaw) => heading({ yaw, pitch: 0 }));
console.log(JSON.stringify({ found, ways, words, wrapped: [190, -190, 540, 0].map(wrap) }));
""",
        encoding="utf-8",
    )
    assert NODE is not None
    done = subprocess.run([NODE, str(script)], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
    for face in FACES:
        wanted = [[[face, column, row] for column in range(size)] for row in range(size)]
        assert said["found"][face] == wanted, f"face {face} is uploaded as it comes"
    assert said["words"] == ["ahead", "right", "left", "behind"]
    assert said["wrapped"] == [-170, 170, -180, 0]
    forward = axes()[:, 0].tolist()
    assert np.allclose(said["ways"][0]["forward"], forward[0])
    assert np.allclose(said["ways"][1]["forward"], forward[1]), "yaw turns to the right"
    for way, (yaw, pitch, roll) in zip(said["ways"], turns, strict=True):
        camera = view_rays(torch.tensor([roll, pitch, yaw, 90.0]), 2, 2)
        middle = camera.reshape(-1, 3).mean(0)
        across = camera[0, 1] - camera[0, 0]
        assert np.allclose(way["forward"], (middle / middle.norm()).tolist(), atol=1e-5)
        assert np.allclose(way["right"], (across / across.norm()).tolist(), atol=1e-5)
        assert np.allclose(np.cross(way["right"], way["up"]), [-v for v in way["forward"]], atol=1e-5)
