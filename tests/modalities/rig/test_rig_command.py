"""`unreel generate` with a rig model: files, questions, the numbers."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.rigs import creature, rigged_creature, write_tiny_rig
from tests.unreel.conftest import cli
from unreel.modalities.skeleton.glb import write_glb
from unreel.modalities.skeleton.gltf import read_rig

Cli = Callable[..., tuple[int, str, str]]
__all__ = ["cli"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_glb(creature(), tmp_path / "creature.glb")
    return write_tiny_rig(tmp_path / "tiny")


def test_a_mesh_becomes_a_rig(cli: Cli, folder: Path, tmp_path: Path, clean: Callable[[bytes], None]) -> None:
    rigged, numbers = tmp_path / "rigged.glb", tmp_path / "n.json"
    code, out, err = cli(
        "generate", folder, "-i", f"mesh={tmp_path}/creature.glb", "-o", rigged, "--seed", 3, "--json", numbers
    )
    assert code == 0, err
    assert f"{rigged}: 12 joints, 48 vertices, 72 faces" in out
    assert "first of the joints after" in out
    clean(rigged.read_bytes())
    assert len(read_rig(rigged).skeleton) == 12
    report = json.loads(numbers.read_text())
    assert (report["joints"], report["chunks"], report["steps_computed"]) == (12, 12, 36)
    assert report["time_to_first_s"] > 0
    assert "frames" not in report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["creature.glb", "n.json", "rigged.glb", "tiny"]
    assert cli("generate", folder, "-i", f"mesh={tmp_path}/creature.glb", "-o", tmp_path / "b.glb", "--seed", 3)[0] == 0
    assert (tmp_path / "b.glb").read_bytes() == rigged.read_bytes()


def test_what_to_do_with_a_rig_that_is_there_is_asked(cli: Cli, folder: Path, tmp_path: Path) -> None:
    write_glb(rigged_creature(), tmp_path / "had.glb")
    wish = ("generate", folder, "-i", f"mesh={tmp_path}/had.glb", "-o", tmp_path / "out.glb")
    code, _, err = cli(*wish)
    assert code == 2
    assert "rigged already, with 10 joints: say -i rig=keep" in err
    code, out, _ = cli(*wish, "-i", "rig=keep")
    assert code == 0
    assert "10 joints" in out
    assert "written as it is" in out
    assert sorted(read_rig(tmp_path / "out.glb").skeleton.names) == sorted(rigged_creature().skeleton.names)
    code, out, err = cli(*wish, "-i", "rig=replace")
    assert (code, "12 joints" in out) == (0, True), err
    code, _, err = cli(*wish, "-i", "rig=maybe")
    assert (code, "keep or replace" in err) == (2, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), "needs a mesh"),
        (("--frames", "5"), "leave --frames out"),
        (("--scale", "2"), "leave --scale out"),
        (("-i", "rig=keep", "-i", "mesh=none.glb"), "none.glb"),
        (("-i", "mesh=none.doc"), "does not read"),
    ],
)
def test_mistakes_are_told_in_one_line(
    cli: Cli, folder: Path, tmp_path: Path, options: tuple[str, ...], words: str
) -> None:
    given = options if "-i" in options or not options else (*options, "-i", f"mesh={tmp_path}/creature.glb")
    code, _, err = cli("generate", folder, "-o", tmp_path / "out.glb", *given)
    assert code == 2
    assert words in err
    assert not (tmp_path / "out.glb").exists()


def test_a_file_that_cannot_be_written_is_told_first(cli: Cli, folder: Path, tmp_path: Path) -> None:
    code, _, err = cli("generate", folder, "-i", f"mesh={tmp_path}/creature.glb", "-o", tmp_path / "out.fbx")
    assert code == 2
    assert ".glb, .bvh, .npz, .mp4" in err


def test_the_page_says_how_it_is_done_in_python(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[3] / "docs" / "rig.md").read_text()
    code = page.partition("```python\n")[2].partition("```")[0]
    monkeypatch.chdir(tmp_path)
    exec(code.replace('"rig"', f'"{folder}"'), {})
    assert len(read_rig(tmp_path / "rigged.glb").skeleton) == 12
