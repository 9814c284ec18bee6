"""`unreel generate` that goes well: the film, the numbers, and the same film again."""

import json
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from fake import write_folder
from PIL import Image

Cli = Callable[..., tuple[int, str, str]]

NUMBERS = (
    "time_to_first_frame_s",
    "frames_per_s",
    "model_frames_per_s",
    "chunk_s",
    "peak_context_bytes",
    "peak_process_bytes",
    "steps_computed",
    "steps_reused",
    "quality",
)


def pngs(folder: Path, name: str) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path)) for path in sorted(folder.glob(f"{name}-*.png"))])


def test_film_and_numbers(cli: Cli, folder: Path, tmp_path: Path) -> None:
    film, numbers = tmp_path / "film.mp4", tmp_path / "film.json"
    code, out, err = cli(
        "generate", folder, "-o", film, "--frames", 9, "--actions", "w-2,d-1", "--seed", 7,
        "--steps", 3, "--json", numbers, "--compare", 9,
    )  # fmt: skip
    assert code == 0, err
    assert "9 frames, 384x384, 0.9 s at 10 per second" in out
    with av.open(str(film)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 9  # the fifth chunk is cut
    report = json.loads(numbers.read_text())
    assert all(name in report for name in NUMBERS)
    assert report["frames"] == 9
    assert report["chunks"] == 5
    assert report["steps_computed"] == 15
    assert report["steps_reused"] == 0
    assert report["frames_per_s"] > 0
    assert report["request"]["seed"] == 7
    assert report["quality"]["against_plain"]["identical"] is True
    assert report["quality"]["against_plain"]["ssim"]["mean"] == pytest.approx(1)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["fake", "film.json", "film.mp4"]


def test_same_seed_same_film_and_actions_matter(cli: Cli, folder: Path, tmp_path: Path) -> None:
    for name, options in {"a": ["--actions", "w-2"], "b": ["--actions", "w-6"], "c": ["--actions", "s-2"]}.items():
        assert cli("generate", folder, "-o", tmp_path / f"{name}.png", "--frames", 6, *options)[0] == 0
    a, b, c = (pngs(tmp_path, name) for name in "abc")
    np.testing.assert_array_equal(a, b)  # a short script repeats
    assert not np.array_equal(a, c)


def test_inputs_reach_the_session(cli: Cli, folder: Path, tmp_path: Path) -> None:
    numbers = tmp_path / "film.json"
    code, _, err = cli(
        "generate", folder, "-o", tmp_path / "film.gif", "--frames", 12, "--json", numbers, "--compare", 12,
        "-i", "offset=2", "-i", "context.recent=1",
    )  # fmt: skip
    assert code == 0, err
    quality = json.loads(numbers.read_text())["quality"]["against_plain"]
    assert quality["identical"] is False
    assert quality["frames"] == 12


@pytest.mark.parametrize("kind", ["image", "clip", "nothing"])
def test_starts(cli: Cli, folder: Path, tmp_path: Path, kind: str) -> None:
    start = tmp_path / "start.png"
    if kind == "image":
        Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).save(start)
    elif kind == "clip":
        start = tmp_path / "start.gif"
        frames = [Image.fromarray(np.full((16, 16, 3), 20 * i, np.uint8)) for i in range(5)]
        frames[0].save(start, save_all=True, append_images=frames[1:], duration=100)
    given = "nothing" if kind == "nothing" else start
    code, _, err = cli("generate", folder, "-o", tmp_path / "film.png", "--frames", 4, "--start", given)
    assert code == 0, err
    assert len(pngs(tmp_path, "film")) == 4


def test_inspect_and_models(cli: Cli, folder: Path) -> None:
    code, out, _ = cli("inspect", folder)
    assert code == 0
    assert "16x16 pixels at 10 per second" in out
    assert "none w a s d" in out
    code, out, _ = cli("inspect", folder, "--json")
    assert json.loads(out)["chunk_frames"] == 2
    assert cli("models")[0] == 0


@pytest.fixture
def ending_folder(tmp_path: Path) -> Path:
    """The fake model, whose world is over after four chunks: there is no player in them."""
    media = {"fps": 10, "height": 16, "width": 16}
    return write_folder(tmp_path / "fake", media=media, ending={"class": "player", "lost": 4})


def test_a_world_that_is_over_begins_anew_unless_told_otherwise(cli: Cli, ending_folder: Path, tmp_path: Path) -> None:
    films, numbers = {}, tmp_path / "film.json"
    for flag, restarts in ((None, 2), ("--restart", 2), ("--no-restart", 0)):
        options = [] if flag is None else [flag]
        code, out, err = cli(
            "generate", ending_folder, "-o", tmp_path / "film.png", "--frames", 20, "--json", numbers,
            "--compare", 20, *options,
        )  # fmt: skip
        assert code == 0, err
        report = json.loads(numbers.read_text())
        assert report["restarts"] == restarts
        assert report["quality"]["against_plain"]["identical"] is True, "the plain run restarts alike"
        assert ("; 2 restarts" in out) is (restarts == 2)
        assert ("restart" in out) is (restarts > 0)
        films[flag] = pngs(tmp_path, "film")
    np.testing.assert_array_equal(films[None], films["--restart"])
    assert not np.array_equal(films[None][8:], films["--no-restart"][8:])


def test_restart_without_an_ending_is_one_line(cli: Cli, folder: Path, tmp_path: Path) -> None:
    code, _, err = cli("generate", folder, "-o", tmp_path / "film.png", "--frames", 4, "--restart")
    assert code != 0
    assert "has no ending in its card" in err
    assert len(err.strip().splitlines()) == 1
