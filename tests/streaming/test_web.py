"""streaming/web: what needs no browser, run by Node where there is one."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

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


def test_the_page_speaks_this_version_and_loads_nothing_from_elsewhere() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in WEB.iterdir()}
    assert f'VERSION = "{protocol.VERSION}"' in texts["wire.js"]
    for name, text in texts.items():
        addresses = [url for url in re.findall(r"https?://[^\s\"'`)]+", text) if "www.w3.org" not in url]
        assert addresses == [], f"{name} refers to {addresses}"
    for source in re.findall(r'(?:src|href)="(/web/[^"]+)"', texts["index.html"]):
        assert (WEB / source.removeprefix("/web/")).exists()
    assert "<script>" not in texts["index.html"]
    assert "style=" not in texts["index.html"], "the page's policy forbids inline style and script"
