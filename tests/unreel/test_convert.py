"""The command line on published files: inspect, convert, generate. Needs the extra [wan]."""

from __future__ import annotations

import json
from pathlib import Path

import av
import pytest

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")
pytest.importorskip("transformers", reason="needs the extra [wan]: transformers")

from PIL import Image
from tiny_wan import LAYOUTS, write_layout

from unreel.cli import main


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {name: write_layout(root / name, name) for name in LAYOUTS}


def run(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(a) for a in arguments])
    return int(ended.value.code or 0)


def frames_of(path: Path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


@pytest.mark.parametrize("name", LAYOUTS)
def test_generate_from_every_layout(made: dict[str, Path], tmp_path: Path, name: str) -> None:
    film = tmp_path / "out.mp4"
    assert run("generate", made[name], "-i", "prompt=no: a red fox", "--frames", 22, "-o", film, "--scale", 1) == 0
    assert frames_of(film) == 22


def test_inspect_tells_family_layout_and_keys(made: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("inspect", made["self-forcing"]) == 0
    text = capsys.readouterr().out
    assert "original names under 'generator_ema', prefix 'model.'" in text
    assert "32 wide, 2 layers, 2 heads, 48 in the MLP, 16 channels" in text
    assert run("inspect", made["skyreels"], "--json") == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["family"] == "skyreels-v2-df"
    assert facts["missing keys"] == facts["unexpected keys"] == []
    assert facts["dtype"] == "float32"


def test_convert_then_generate_with_a_blend(made: dict[str, Path], tmp_path: Path) -> None:
    ours = tmp_path / "ours"
    assert run("convert", made["krea"], "-o", ours, "--dtype", "float32", "--size", "32x64") == 0
    film = tmp_path / "out.mp4"
    options = ("-i", "prompt=a fox", "-i", "prompt_switch.class=blend", "-i", "prompt_switch.chunks=2")
    assert run("generate", ours, *options, "--frames", 9, "-o", film, "--scale", 1) == 0
    assert frames_of(film) == 9
    assert run("convert", made["krea"], "-o", ours) == 2
    assert run("convert", made["krea"], "-o", tmp_path / "b", "--size", "big") == 2


def test_generate_goes_on_from_a_picture(made: dict[str, Path], tmp_path: Path) -> None:
    Image.new("RGB", (48, 32), (200, 40, 40)).save(tmp_path / "red.png")
    film = tmp_path / "out.mp4"
    options = ("--start", tmp_path / "red.png", "-i", "prompt=a fox", "--frames", 24, "--scale", 1)
    assert run("generate", made["krea"], *options, "-o", film) == 0
    assert frames_of(film) == 24
