"""`unreel forecast`: what it writes, and what it says to bad input."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import av
import numpy as np
import pytest
from world.tiny import tiny_world

import unreel
from unreel import catalogue
from unreel.commands.progress import FrameProgress

CLIP = np.random.default_rng(0).integers(0, 255, (8, 16, 16, 3), dtype=np.uint8)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return unreel.export([CLIP], tmp_path / "clip.gif", fps=10, scale=1).path


def length(path: Path) -> int:
    with av.open(str(path)) as film:
        return sum(1 for _ in film.decode(video=0))


def test_everything_is_written(cli, folder: Path, clip: Path, tmp_path: Path) -> None:
    out, numbers = tmp_path / "out", tmp_path / "n.json"
    code, said, _ = cli(
        "forecast", folder, "-i", clip, "--actions", "w-3,d-4", "--samples", 2, "--horizon", 5, "-o", out,
        "--json", numbers,
    )  # fmt: skip
    assert (code, "2 futures of 5 frames" in said) == (0, True)
    found = json.loads(numbers.read_text())
    assert sorted(found["files"]) == sorted(path.name for path in out.iterdir())
    assert {"grid.mp4", "future-01.mp4", "future-02.mp4", "forecast.npz", "uncertainty.png"} == set(found["files"])
    assert length(out / "future-02.mp4") == 5
    assert length(out / "grid.mp4") == 13
    assert found["context_bytes"]["peak"] < found["context_bytes"]["peak_if_nothing_were_shared"]
    assert len(found["uncertainty_by_frame"]["rgb"]) == 5


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--samples", "0"], "samples must be"),
        (["--horizon", "0"], "horizon must be"),
        (["--actions", "w-3"], "the actions last 3"),
        (["--actions", "jump-9"], "knows the actions"),
        (["--fit", "stretch"], "--fit must be"),
        (["-i", "nowhere.mp4"], "does not exist"),
        (["-i", "3"], "ships no clips"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    cli, folder: Path, clip: Path, tmp_path: Path, options: list[str], told: str
) -> None:
    given = ["-i", str(clip)] if "-i" not in options else []
    code, _, err = cli("forecast", folder, *given, "-o", tmp_path / "out", "--horizon", "5", *options)
    assert (code, err.count("\n")) == (2, 1)
    assert told in err
    assert not list((tmp_path / "out").glob("*"))


def test_a_folder_that_is_a_file_is_refused(cli, folder: Path, clip: Path) -> None:
    code, _, err = cli("forecast", folder, "-i", clip, "-o", clip)
    assert (code, "cannot make the folder" in err) == (2, True)


def test_ctrl_c_leaves_what_is_made(
    cli, folder: Path, clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FrameProgress, "advance", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    code, _, err = cli("forecast", folder, "-i", clip, "--samples", 2, "--horizon", 9, "-o", tmp_path / "out")
    assert (code, "stopped early" in err) == (130, True)
    assert length(tmp_path / "out" / "future-02.mp4") == 2


def test_every_output_of_a_world_gets_a_grid(cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "load", lambda name: tiny_world())
    seen = np.random.default_rng(0).integers(0, 255, (4, 16, 32, 3), dtype=np.uint8)
    clip = unreel.export([seen], tmp_path / "clip.gif", fps=10, scale=1).path
    code, _, _ = cli("forecast", "tiny", "-i", clip, "--samples", 2, "--horizon", 3, "-o", tmp_path / "out")
    assert code == 0
    for name in ("grid.mp4", "grid-segmentation.mp4", "grid-depth.mp4"):
        assert length(tmp_path / "out" / name) == 7
    with np.load(tmp_path / "out" / "forecast.npz") as arrays:
        assert {"rgb", "segmentation", "depth", "uncertainty_depth", "latents"} <= set(arrays)
