"""`unreel bench forecast`: all parts on made-up play, what they compare, and what the figures mean."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from world.tiny import tiny_world

from unreel.benchmarks import _forecast_clips, _forecast_place, forecast
from unreel.benchmarks._forecast_parts import _binned, spearman
from unreel.engine.errors import UserError

HEIGHT, WIDTH, LONG = 16, 32, 60


def play(path: Path, seed: int, frames: int = LONG) -> None:
    """One episode: a bright square whose place is the player's, moving to the right."""
    rng = np.random.default_rng(seed)
    pictures = np.zeros((frames, HEIGHT, WIDTH, 3), np.uint8)
    place = np.zeros((frames, 3), np.float32)
    for t in range(frames):
        x = int(place[t - 1, 0] + rng.integers(0, 2)) % (WIDTH - 4)
        place[t, :2] = x, 6
        pictures[t, 6:10, x : x + 4] = 200
    np.savez(
        path, frames=pictures, segmentation=(pictures[..., 0] > 0).astype(np.uint8) + 1,
        depth=np.full((frames, HEIGHT, WIDTH), 9, np.uint8), action=rng.integers(0, 7, frames).astype(np.int8),
        first=np.arange(frames) == 0, reward=np.zeros(frames, np.float32), done=np.zeros(frames, bool), place=place,
        seed=np.full(frames, seed, np.int32),
    )  # fmt: skip


@pytest.fixture
def data(tmp_path: Path) -> Path:
    for n in range(3):
        play(tmp_path / f"train-{n}.npz", n)
        play(tmp_path / f"test-{n}.npz", 10_000 + n)
    return tmp_path


def test_every_part_is_measured_beside_its_twin(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    twin = tiny_world(architecture={**tiny_world().card.architecture, "blind": True}, schedule={"steps": 1})
    monkeypatch.setattr(_forecast_clips.unreel, "models", lambda: {"tiny-world-regression": None})
    monkeypatch.setattr(_forecast_clips.unreel, "load", lambda name: twin)
    found = forecast.run(quick=True, data=data, model=tiny_world(), json=tmp_path / "out.json")
    assert json.loads((tmp_path / "out.json").read_text()) == json.loads(json.dumps(found))
    quality = found["quality"]
    assert set(quality["psnr"]) == {"forecast", "regression", "copy last", "codec alone"}
    assert quality["sharpness"]["copy last"] == pytest.approx([1.0] * 5, abs=0.2)
    assert all(
        a >= b for a, b in zip(quality["d1"]["forecast"]["best"], quality["d1"]["forecast"]["mean"], strict=True)
    )
    assert "best" not in quality["miou"]["regression"]
    assert set(found["calibration"]) == {"setting", "rgb", "segmentation", "depth"}
    assert found["sharing"]["batch of 3"]["largest_difference"] < 1e-4
    assert found["sharing"]["batch of 16, past kept"]["largest_difference"] < 1e-4
    assert found["sharing"]["batch of 16, past kept"]["bytes_over_alone"] < 0.5
    assert found["sharing"]["observed"]["bytes_over_alone_by_chunk"][0] == pytest.approx(1 / 8, abs=0.01)
    assert found["control"]["position_error"]["copy last"][2] > found["control"]["position_error"]["copy last"][0]
    table = forecast.table(found)
    assert all(word in table for word in ("best of 3", "Spearman", "batch of 16", "map units", "MISSED"))


def test_parts_join_what_is_there_and_unknown_ones_are_refused(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    forecast.run(quick=True, data=data, model=tiny_world(), json=out, parts=["calibration"])
    assert set(forecast.run(quick=True, data=data, model=tiny_world(), json=out, parts=["quality"])) == {
        "calibration", "quality", "model", "gates",
    }  # fmt: skip
    with pytest.raises(UserError, match="no part speed"):
        forecast.run(parts=["speed"])
    with pytest.raises(UserError, match="--data DIR"):
        forecast.run(model=tiny_world())


def test_calibration_bins_say_whether_error_rises_with_uncertainty() -> None:
    spread = np.linspace(0, 1, 1000)[np.random.default_rng(0).permutation(1000)].reshape(4, 250)
    rising = _binned(spread, spread * 3)
    assert rising["monotone"]
    assert rising["fall"] == 0
    assert rising["spearman"] == pytest.approx(1)
    falling = _binned(spread, -spread)
    assert not falling["monotone"]
    assert falling["fall"] == pytest.approx(0.1, abs=0.01)
    assert falling["fall"] > 5 * falling["fall_error"]
    tied = _binned(np.where(spread > 0.95, spread, 0), spread)
    assert sum(tied["pixels"]) == 1000
    assert spearman([1.0, 2.0, 3.0], [9.0, 4.0, 1.0]) == pytest.approx(-1)


def test_a_fall_that_one_window_makes_is_within_its_error() -> None:
    rng = np.random.default_rng(0)
    spread = rng.random((8, 500))
    error = spread.copy()
    error[0] += 3 * (spread[0] < 0.1)
    found = _binned(spread, error)
    assert not found["monotone"]
    assert found["fall"] <= 2 * found["fall_error"]


def test_motions_walk_to_where_they_come_from() -> None:
    rng = np.random.default_rng(0)
    poses = np.cumsum(rng.normal(size=(20, 3)) * (5, 5, 40), axis=0)
    there = _forecast_place.walked(_forecast_place.motions(poses), poses[0])
    assert np.allclose(there, poses[1:, :2])


def test_the_reader_learns_how_the_player_moves(data: Path) -> None:
    frames, poses, joined = _forecast_place._real(data)
    assert len(frames) == 3 * LONG
    assert len(joined) == 3 * (LONG - 1)
    read = _forecast_place.taught(frames, poses, joined, 150)
    at = joined[:50]
    apart = np.abs(read(frames[:51]) - _forecast_place.motions(poses)[at])[:, 0]
    assert np.quantile(apart, 0.8) < 0.25  # steps are 0 or 1, but for a jump back to the left
