"""Training motion: clips of a folder, windows, a few steps, resuming, exporting what then runs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import unreel
from tests.motion import CODEC, NET, walk
from unreel.engine.errors import UserError
from unreel.engine.learner import Pace
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.features import Layout, encode
from unreel.modalities.motion.motion import train
from unreel.modalities.motion.motion.codec_trainer import CodecTrainer, places, statistics
from unreel.modalities.motion.motion.data import load_clips, moving
from unreel.modalities.motion.motion.decoder_trainer import DecoderTrainer
from unreel.modalities.motion.motion.labels import label, swapped
from unreel.modalities.motion.motion.windows import Windows, joined, ways
from unreel.modalities.motion.network import CodecConfig, MotionCodecNet
from unreel.modalities.motion.path import ahead
from unreel.modalities.skeleton.bvh import write_bvh
from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import from_axis_angle

SIZES = {name: size for name, size in NET.items() if name not in ("levels", "codes")}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A walk of ten seconds, a short run, a wave without a name that says so, and things that are no motion."""
    folder = tmp_path_factory.mktemp("clips")
    write_bvh(walk(10.0, 60.0), folder / "walk_left.bvh")
    replace(walk(1.0, speed=3.0), name="Rig|Run_A").save(folder / "run.npz")
    replace(walk(1.5, speed=0.0), name="001").save(folder / "x1.npz")
    (folder / "labels.json").write_text(json.dumps({"x1.npz": "wave"}))
    (folder / "broken.bvh").write_text("HIERARCHY")
    (folder / "note.txt").write_text("no motion")
    return folder


# ---- clips -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("CharacterArmature|Run_Left", "run left"),
        ("HumanArmature|Man_RunningJump", "run jump"),
        ("Walking_B", "walk"),
        ("HitRecieve_2", "get hit"),
        ("Spellcast_Long", "cast a spell long"),
        ("mixamo.com", ""),
        ("Walk_Backwards", "walk backward"),
    ],
)
def test_names_become_words(name: str, words: str):
    assert label(name) == words


def test_mirrored_words():
    assert swapped("kick left, then right") == "kick right, then left"
    assert swapped("walk") == "walk"


def test_a_folder_of_clips(folder: Path):
    found = load_clips(folder)
    assert {clip.text for clip in found.clips} == {"walk left", "walk right", "run", "wave"}
    assert [clip.text for clip in found.held_out] == ["walk left"]
    assert len({clip.name for clip in found.train}) == 3
    assert len(found.train) == 3 * 6  # mirrored and at three speeds
    assert any("broken.bvh" in why for why in found.skipped)
    kept, held = (next(c for c in part if c.text == "walk left") for part in (found.train, found.held_out))
    assert len(kept.features) + len(held.features) < 301


def test_a_folder_without_clips_is_told(tmp_path: Path):
    with pytest.raises(UserError, match="there is no folder"):
        load_clips(tmp_path / "none")
    with pytest.raises(UserError, match="can be used"):
        load_clips(tmp_path)
    (tmp_path / "labels.json").write_text("[1]")
    with pytest.raises(UserError, match="maps clip or file names"):
        load_clips(tmp_path)


def test_steps_on_the_spot_get_somewhere():
    whole = walk(2.0, turn=0.0, speed=1.2)
    assert moving(whole) is whole
    rotations = np.tile(BODY.rotations, (20, 1, 1)).astype(float)
    sideways = np.asarray([1.0, 0, 0])
    rotations[:, BODY.index("left_thigh")] = from_axis_angle(sideways, np.linspace(-0.4, 0.4, 20))  # from front to back
    rotations[:, BODY.index("right_shin")] = from_axis_angle(sideways, 1.5)
    spot = Motion(BODY, 30.0, np.tile(BODY.translations[0], (20, 1)), rotations)
    way = moving(spot).root[-1] - spot.root[-1]
    assert abs(way[0]) < 0.01
    assert way[2] == pytest.approx(0.8 * 0.85, abs=0.1)


# ---- windows -----------------------------------------------------------------------------------------------


def test_windows_have_what_is_told(folder: Path):
    windows = Windows(load_clips(folder).train, 64, 32)
    drawn = windows.batch(6, joins=0.5)
    assert [tuple(part.shape) for part in drawn] == [(6, 64, 269), (6, 16, 32), (6, 16, 7), (6, 22), (6, 16)]
    whole = (drawn.text.norm(dim=-1) - 1).abs() < 1e-5
    assert (whole | (drawn.text.norm(dim=-1) < 1)).all()
    assert (~whole).sum(1).max() <= 3  # where the words change
    assert (drawn.real[:, 0] == 1).all()
    assert all(torch.isfinite(part).all() for part in drawn)
    again = Windows(load_clips(folder).train, 64, 32).batch(6, joins=0.5)
    assert torch.equal(again.features, drawn.features)


def test_clips_flow_into_each_other():
    first, rest = encode(walk(1.0))[0], encode(walk(1.0, turn=-2.0, speed=0.2))[0]
    whole = joined(first, rest)
    turned = Layout.of(BODY).parts["rotations"]
    steps = np.abs(np.diff(whole[:, turned], axis=0)).mean(1)
    assert steps[len(first) - 1] < 2 * np.median(steps)
    assert np.allclose(whole[-5:], rest[-5:])


def test_the_way_that_was_taken_is_what_a_path_along_it_would_tell():
    motion = walk(4.0, turn=0.3)
    numbers, start = encode(motion)
    told = ways(numbers, 16)
    curve = motion.root[:, [0, 2]].astype(float)
    place = (*motion.root[11, [0, 2]].tolist(), start[2] + 12 * 0.3 / 30)
    along = float(np.linalg.norm(np.diff(curve[:12], axis=0), axis=1).sum())
    assert np.allclose(told[3], ahead(curve, False, 1.2, place, along - 0.1)[0], atol=0.03)


# ---- training ----------------------------------------------------------------------------------------------


def test_places_are_those_of_the_motion():
    motion = walk(0.5, turn=0.0, speed=0.0)
    numbers, _ = encode(motion)
    found = places(torch.from_numpy(numbers)[None], torch.zeros(1, 22))[0]
    assert np.allclose(found, motion.positions(), atol=1e-4)


def test_the_codec_learns(folder: Path, tmp_path: Path):
    clips = load_clips(folder).train
    mean, spread = statistics(clips)
    assert mean.shape == spread.shape == (269,)
    pace, sizes = Pace(1.0, 1e-2, warmup=1), {**CODEC, "width": 32}
    trainer = CodecTrainer(clips, pace, tmp_path, sizes, samples=4, frames=32, warm=30)
    records = [trainer.learner.update(trainer.loss) for _ in range(60)]
    losses = [record["loss"] for record in records]
    assert np.mean(losses[-5:]) < 0.7 * np.mean(losses[:5])
    assert records[29]["used"] == 0
    assert records[-1]["used"] > 1


def test_the_decoder_learns_alone(folder: Path, tmp_path: Path):
    clips = load_clips(folder).train
    torch.manual_seed(0)
    codec = MotionCodecNet(CodecConfig(269, **CODEC))
    codes = codec.eval().codes(torch.from_numpy(clips[0].features[None, :16]).float())
    trainer = DecoderTrainer(clips, codec, Pace(1.0, 1e-2, warmup=1), tmp_path, samples=4, frames=32)
    losses = [trainer.learner.update(trainer.loss)["loss"] for _ in range(30)]
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert torch.equal(codec.codes(torch.from_numpy(clips[0].features[None, :16]).float()), codes)


def test_a_run_resumes_and_exports_what_then_moves(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    short = 0.5 / 60
    for _ in range(2):  # the second time everything is there already
        train.train(folder, tmp_path, (short, short, short), 1, 0, CODEC, SIZES)
    assert "3 clips" in capsys.readouterr().out
    assert torch.load(tmp_path / "codec.pt", weights_only=True)["average"]["mean"].abs().sum() > 0
    model = unreel.load(tmp_path / "model", dtype="float32")
    assert model.card.training["held_out"] == ["walk_left:walk_left"]
    assert "walk left" in model.conditions["text"].examples
    session = model.session(seed=1)
    session.send("text", "walk left")
    poses = next(session.stream(chunks=1)).payload
    assert isinstance(poses.motion, Motion)
    assert poses.rows.shape == (4, 91)


def test_wrong_times_are_told():
    with pytest.raises(UserError, match="above 0"):
        train.main(["--data", "x", "--minutes", "0"])
