"""What is measured of motions, on motions whose numbers are known; and the whole benchmark on a tiny model."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.motion import tiny_motion, walk
from unreel.benchmarks import _motion_metrics as metrics
from unreel.benchmarks import _motion_space as space
from unreel.benchmarks import motion
from unreel.engine.errors import UserError
from unreel.modalities.motion.motion.data import load_clips
from unreel.modalities.skeleton.bvh import write_bvh


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_bvh(walk(24.0, turn=0.1), folder / "walk.bvh")
    write_bvh(walk(24.0, turn=2.0, speed=3.0), folder / "run.bvh")
    return folder


# ---- metrics -----------------------------------------------------------------------------------------------


def test_places_that_are_a_centimetre_off():
    real = np.zeros((4, 3, 3))
    assert metrics.mpjpe_mm(real + (0.01, 0, 0), real) == pytest.approx(10)


def test_feet_that_slide():
    frames = np.arange(31)
    foot = np.stack([frames * 0.01, np.zeros(31), np.zeros(31)], -1)[:, None]  # 0.3 m/s on the ground
    lifted = foot + (0, 1.0, 0)
    assert metrics.foot_skate(foot, 30.0) == pytest.approx(0.3)
    assert metrics.foot_skate(np.concatenate([foot, lifted], 1), 30.0) == pytest.approx(0.3)
    assert metrics.foot_skate(foot * 0, 30.0) == 0


def test_jerk_of_a_jump_at_every_join():
    at = np.arange(64) / 30
    smooth = np.stack([at**3, at * 0, at * 0], -1)[:, None]
    assert np.allclose(metrics.jerks(smooth, 30.0), 6)
    assert metrics.jerk_at_joins(smooth, 30.0, 4)["ratio"] == pytest.approx(1)
    jumps = smooth + 0.01 * (np.arange(64) // 4)[:, None, None] * (0, 1, 0)
    assert metrics.jerk_at_joins(jumps, 30.0, 4)["ratio"] > 10


def test_freezes_and_drifts():
    moving = np.cumsum(np.full((90, 2, 3), 0.01), 0)
    assert metrics.longest_freeze(moving, 30.0) == 0
    moving[30:60] = moving[30]
    assert metrics.longest_freeze(moving, 30.0) == pytest.approx(29 / 30)
    found = metrics.height_drift(np.linspace(1.0, 0.5, 30 * 600), 30.0)
    assert found["first"] == pytest.approx(0.975, abs=1e-3)
    assert found["largest"] == pytest.approx(0.45, abs=1e-3)


# ---- the feature space -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "name"),
    [("walk left", "walk"), ("climb, sit and jump", "climb"), ("interact", None), ("one hand attack", "attack")],
)
def test_texts_tell_actions(text: str, name: str | None):
    number = space.action(text)
    assert (None if number is None else space.ACTIONS[number]) == name


def test_a_space_tells_walking_from_running(folder: Path):
    found = load_clips(folder, augment=False)
    known = space.learned(found.train, 40)
    real, owners = space.windows(found.held_out, 8)
    texts = [clip.text for clip in owners]
    assert real.shape[1:] == (64, 269)
    assert known.features(real).shape == (len(real), 64)
    assert known.recovered(real, texts) > 0.8
    again = space.learned(found.train, 40)
    assert np.array_equal(known.features(real), again.features(real))
    with pytest.raises(UserError, match="tells an action"):
        space.learned([replace(found.train[0], text="interact")], 1)


# ---- the benchmark -----------------------------------------------------------------------------------------


def test_every_part_on_a_tiny_model(folder: Path, tmp_path: Path):
    model, path = tiny_motion(), tmp_path / "b.json"
    results = motion.run(quick=True, data=folder, json=path, model=model)
    assert set(results) == {*motion.PARTS, "model"}
    assert json.loads(path.read_text())["quality"]["windows"] == 6
    assert results["quality"]["frechet"]["ours"] > 0
    assert results["codec"]["mpjpe_mm"] > 0
    text = motion.table(results)
    for words in ("Frechet of halves", "first pose, ms", "root height, m", "joints, mm", "ratio of p95"):
        assert words in text
    again = motion.run(quick=True, parts=("speed", "codec"), json=path, model=model)
    assert again["codec"]["note"].startswith("left out")
    assert again["endless"] == json.loads(path.read_text())["endless"]
    assert "codec: left out" in motion.table(again)


def test_wishes_that_cannot_be_met(tmp_path: Path):
    with pytest.raises(UserError, match="it has codec, quality"):
        motion.run(parts=("pace",), model=tiny_motion())
    write_bvh(walk(2.0), tmp_path / "walk.bvh")
    with pytest.raises(UserError, match="is held out"):
        motion.run(data=tmp_path, model=tiny_motion())
