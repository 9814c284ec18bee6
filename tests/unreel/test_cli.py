"""Bad input on the command line: one clear line, exit code 2, no traceback, nothing half-written."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

Cli = Callable[..., tuple[int, str, str]]


def refused(result: tuple[int, str, str], *words: str) -> None:
    """Exit code 2, one line on stderr that begins with ``error:`` and holds the words."""
    code, out, err = result
    assert code == 2, (out, err)
    assert out == ""
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    for word in words:
        assert word in err, (word, err)


@pytest.fixture
def film(tmp_path: Path) -> Path:
    """Where a film would go; the folder holds nothing else."""
    (tmp_path / "out").mkdir()
    return tmp_path / "out" / "film.mp4"


@pytest.fixture(autouse=True)
def _nothing_half_written(tmp_path: Path) -> object:
    """After every test, what is in out/ is whole: no partial files."""
    yield
    assert list(tmp_path.rglob("*.part")) == []


def test_unknown_model(cli: Cli, film: Path) -> None:
    refused(cli("generate", "nightmare", "-o", film), "unknown model 'nightmare'")
    refused(cli("inspect", "nightmare"), "unknown model 'nightmare'")
    assert list(film.parent.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("name: [", "not valid YAML"),
        ("just words", "must hold a mapping"),
        ("name: fake", "not a model card"),
    ],
)
def test_broken_card(cli: Cli, folder: Path, film: Path, text: str, word: str) -> None:
    (folder / "model.yaml").write_text(text)
    refused(cli("generate", folder, "-o", film), "model.yaml", word)
    assert list(film.parent.iterdir()) == []


def test_an_unknown_field_in_the_card_is_named(cli: Cli, folder: Path, film: Path) -> None:
    card = folder / "model.yaml"
    card.write_text(card.read_text() + "colour: blue\n")
    refused(cli("generate", folder, "-o", film), "colour")


def test_truncated_weights(cli: Cli, folder: Path, film: Path) -> None:
    weights = folder / "fake.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    refused(cli("generate", folder, "-o", film), "fake.safetensors", "not a whole safetensors file")
    weights.write_bytes(b"")
    refused(cli("generate", folder, "-o", film), "fake.safetensors")
    weights.unlink()
    refused(cli("generate", folder, "-o", film), "fake.safetensors")


class Trap:
    """Pickled, it would write a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("how", ["pickle", "torch"])
def test_a_pickle_in_disguise_is_never_opened(cli: Cli, folder: Path, film: Path, tmp_path: Path, how: str) -> None:
    weights, sprung = folder / "fake.safetensors", tmp_path / "sprung"
    if how == "pickle":
        weights.write_bytes(pickle.dumps(Trap(sprung)))
    else:
        torch.save({"weight": Trap(sprung)}, weights)
    refused(cli("generate", folder, "-o", film), "is a pickle")
    assert not sprung.exists()


def test_actions_the_model_lacks(cli: Cli, folder: Path, film: Path) -> None:
    refused(cli("generate", folder, "-o", film, "--actions", "w-4,jump-2"), "'jump'", "none, w, a, s, d")
    refused(cli("generate", folder, "-o", film, "--actions", "w-0"), "w-0")
    refused(cli("generate", folder, "-o", film, "--actions", "w-many"), "w-many")
    assert list(film.parent.iterdir()) == []


def test_unwritable_output(cli: Cli, folder: Path, film: Path) -> None:
    refused(cli("generate", folder, "-o", film.parent / "nowhere" / "film.mp4"), "there is no folder")
    refused(cli("generate", folder, "-o", "/proc/film.mp4"), "cannot write /proc/film.mp4")
    refused(cli("generate", folder, "-o", film.with_suffix(".xyz")), "must end in one of .mp4")
    refused(cli("generate", folder, "-o", film.parent), "must end in one of")
    refused(cli("generate", folder, "-o", film, "--json", "/proc/film.json"), "cannot write /proc/film.json")
    assert list(film.parent.iterdir()) == []


def test_a_start_of_another_size(cli: Cli, folder: Path, film: Path, tmp_path: Path) -> None:
    image = tmp_path / "start.png"
    Image.fromarray(np.zeros((30, 40, 3), np.uint8)).save(image)
    refused(cli("generate", folder, "-o", film, "--start", image), "40x30 pixels, expected 16x16")
    refused(cli("generate", folder, "-o", film, "--start", tmp_path / "missing.png"), "does not exist")
    refused(cli("generate", folder, "-o", film, "--start", "3"), "seed clip")
    assert list(film.parent.iterdir()) == []
    code, _, err = cli("generate", folder, "-o", film, "--start", image, "--fit", "crop", "--frames", 2)
    assert code == 0
    assert err.startswith("note: ")


@pytest.mark.parametrize(
    ("option", "value", "word"),
    [
        ("--frames", "0", "--frames must be 1 or more, got 0"),
        ("--frames", "-5", "got -5"),
        ("--frames", "many", "--frames"),
        ("--steps", "0", "steps"),
        ("--scale", "0", "scale"),
        ("--fps", "-1", "fps"),
        ("--fps", "0", "fps"),
        ("--fit", "stretch", "exact or crop"),
        ("--compare", "-1", "--compare"),
        ("-i", "offset", "NAME=VALUE"),
        ("-i", "colour=blue", "takes the inputs offset"),
        ("-i", "context.colour=blue", "colour"),
        ("-i", "reuse=magic", "magic"),
        ("-i", "offset=soon", "offset"),
        ("-i", "offset=[", "offset"),
        ("-i", "guidance=high", "guidance"),
        ("-i", "rewind=-1", "rewind"),
        ("--colour", "blue", "--colour"),
    ],
)
def test_bad_numbers_and_names(cli: Cli, folder: Path, film: Path, option: str, value: str, word: str) -> None:
    refused(cli("generate", folder, "-o", film, option, value), word)
    assert list(film.parent.iterdir()) == []


def test_a_bad_run_leaves_the_film_of_yesterday(cli: Cli, folder: Path, film: Path) -> None:
    film.write_bytes(b"the film of yesterday")
    refused(cli("generate", folder, "-o", film, "--frames", "0"))
    refused(cli("generate", folder, "-o", film, "--actions", "jump-1"))
    assert film.read_bytes() == b"the film of yesterday"


def test_unknown_trainer_and_benchmark(cli: Cli) -> None:
    refused(cli("train", "nightmare"), "no trainer for 'nightmare'")
    refused(cli("bench", "nightmare"), "no benchmark 'nightmare'")
    refused(cli("dance"), "dance")


@pytest.mark.parametrize("command", ["models", "inspect", "generate", "train", "bench"])
def test_every_command_has_help_with_an_example(cli: Cli, command: str) -> None:
    code, out, _ = cli(command, "--help")
    assert code == 0
    assert f"unreel {command}" in out.partition("Example")[2]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_leaves_a_whole_film(folder: Path, film: Path, number: signal.Signals) -> None:
    """A real process, a real signal: exit code 130, the film plays, and it is said how long it is."""
    import av

    command = [sys.executable, "-m", "unreel", "generate", str(folder), "-o", str(film), "--frames", "1000000"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    part = film.with_name("film.mp4.part")
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not (part.exists() and part.stat().st_size > 20_000):
        time.sleep(0.05)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "stopped after" in out
    assert "Traceback" not in err
    with av.open(str(film)) as container:
        frames = sum(1 for _ in container.decode(video=0))
    assert f"stopped after {frames} of 1000000 frames" in out
    assert frames > 0
