"""Data, trainer, export and collector, on a toy world of a few frames; nothing is filmed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

import unreel
from unreel.engine.errors import UserError
from unreel.modalities.video.dream import data, export, inverse, measure, train
from unreel.modalities.video.dream.collect import DIRECTION, GAME_ACTION, KEYS, Shoot
from unreel.modalities.video.dream.trainer import TrainConfig, Trainer

GREEN = (39, 174, 96)
NET = {"base": 8, "mid": 8, "width": 48, "depth": 1, "heads": 1, "reach": 1}


def play(streams: int, steps: int) -> np.ndarray:
    """A 5x5 player on blue that moves a pixel right per frame, from 10 on."""
    frames = np.full((streams, steps, 64, 64, 3), (20, 60, 200), np.uint8)
    for t in range(steps):
        x = 10 + t % 40
        frames[:, t, 30:35, x : x + 5] = GREEN
    return frames


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train0", "test0"):
        np.save(tmp_path / f"{name}.frames.npy", play(3, 40))
        first = np.zeros((3, 40), bool)
        first[:, 0] = first[1, 20] = True
        level = np.full((3, 40), 10_000 if name == "test0" else 1, np.int32)
        np.savez(tmp_path / f"{name}.npz", action=np.full((3, 40), 4, np.int8), first=first, level=level)
    return tmp_path


def config(folder: Path) -> TrainConfig:
    return TrainConfig(
        str(folder), str(folder / "out"), minutes=0.1, threads=1, sequences=1, chunks=3, crops=2, net=NET, warmup=1
    )


def test_windows_and_crops_come_with_their_actions(folder: Path) -> None:
    windows = data.Windows(data.load_shards(folder), 12)
    frames, actions = windows.batch(2)
    assert frames.shape == (2, 12, 64, 64, 3)
    assert actions.tolist() == [[4] * 12] * 2
    crops, _ = windows.around(2, 16, 16, 32)
    assert crops.shape == (2, 12, 32, 32, 3)
    assert (crops[:, 6] == torch.tensor(GREEN, dtype=torch.uint8)).all(-1).any((1, 2)).all()


def test_windows_lie_within_one_episode(folder: Path) -> None:
    windows = data.Windows(data.load_shards(folder), 12)
    shard = windows.shards[0]
    assert windows._whole(shard, 1, 8)  # its last frame is the last before the next episode
    assert windows._whole(shard, 1, 20)
    assert not windows._whole(shard, 1, 9)
    assert not windows._whole(shard, 0, 29)  # over the end of the stream
    shard.first[:] = True
    shard.first[2, 7:18] = False  # leaves one window
    for frames, _ in (windows.batch(3), windows.around(2, 0, 0, 64)):
        assert all(np.array_equal(one, shard.frames[2, 6:18]) for one in frames)
    shard.first[:] = True
    with pytest.raises(UserError, match="no episode of 12 frames"):
        data.Windows([shard], 12)


def test_unbroken_windows_hold_no_reset(folder: Path) -> None:
    found = data.unbroken(data.load_shards(folder)[0], 20)
    assert (1, 20) in found
    assert (1, 10) not in found
    assert (0, 0) in found


def test_numbers_of_a_training_are_set_by_name() -> None:
    assert train.numbers(["rate=3e-4", "entry=2.6"]) == {"rate": 3e-4, "entry": 2.6}
    for word in ("steps=3", "rate=fast", "rate", "minutes=3"):
        with pytest.raises(UserError, match=f"NAME=NUMBER .*got '{word}'"):
            train.numbers([word])


def test_a_folder_without_shards_says_so(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="film the game"):
        data.load_shards(tmp_path)


def test_training_runs_is_resumed_and_exported(folder: Path) -> None:
    trainer = Trainer(replace(config(folder), rollout_from=0.0, rollout_share=1.0))
    for _ in range(2):
        trainer.seconds = 1.0
        loss, parts = trainer.update()
    assert np.isfinite(loss)
    assert parts["rolling"] == 1.0
    trainer.save()
    again = Trainer(config(folder))
    assert again.step == 2
    assert all(torch.equal(a, b) for a, b in zip(again.master.parameters(), trainer.master.parameters(), strict=True))
    export.export(again.path, folder / "model")
    export.export_seeds(data.load_shards(folder, "test")[0], folder / "model" / "dream_seeds.safetensors", length=8)
    for source in (again.path, folder / "model" / "dream.safetensors"):
        warm = Trainer(replace(config(folder), out=str(folder / "warm"), warm=str(source)))
        assert warm.step == 0
        averages = zip(warm.master.parameters(), again.average.parameters(), strict=True)
        assert all(torch.allclose(a, b, atol=1e-3) for a, b in averages)
    model = unreel.load(folder / "model")
    event = next(iter(model.session(seed=1, steps=1).stream(chunks=1, actions="wd-3")))
    assert event.payload.shape == (2, 64, 64, 3)
    assert model.actions == KEYS


def test_a_run_writes_its_log(folder: Path) -> None:
    trainer = Trainer(replace(config(folder), minutes=1e-4))
    trainer.step = 19
    trainer.run()
    lines = [json.loads(line) for line in (folder / "out" / "log.jsonl").read_text().splitlines()]
    assert lines[0]["step"] == 20
    assert lines[0]["loss"] > 0


def test_the_player_is_found_by_its_green() -> None:
    frames = play(1, 4)[0]
    assert measure.player_mask(frames).sum((1, 2)).tolist() == [25] * 4
    assert measure.player_place(frames)[:, 0].tolist() == [12, 13, 14, 15]
    assert measure.present(frames) == 1
    assert measure.overlap(measure.player_mask(frames[:1]), measure.player_mask(frames[1:2])) == pytest.approx(20 / 30)
    assert measure.psnr(frames, frames).tolist() == [60.0] * 4
    assert measure.look(frames)["change"] > 0


def test_inverse_examples_are_crops_around_the_player() -> None:
    frames = play(1, 10)
    crops, labels = inverse.examples(frames, np.full((1, 10), 4))
    assert len(crops) == len(labels) == 10 - inverse.BEFORE - inverse.AFTER
    assert inverse.accuracy(inverse.fit(crops, labels, steps=3, size=4), crops, labels) == 1.0
    assert np.isnan(inverse.accuracy(inverse.Inverse(), *inverse.examples(np.zeros_like(frames), labels[None].numpy())))


def test_keys_and_the_games_numbers_match() -> None:
    assert len(KEYS) == len(GAME_ACTION) == len(DIRECTION) == 9
    game = [(-1, 1), (-1, 0), (-1, -1), (0, 1), (0, 0), (0, -1), (1, 1), (1, 0), (1, -1)]  # Procgen: (x, y down)
    for (y, x), number in zip(DIRECTION, GAME_ACTION, strict=True):
        assert game[number] == (x, y)


def test_training_and_test_levels_are_never_mixed() -> None:
    with pytest.raises(ValueError, match="10000"):
        Shoot("x", start_level=9_000, levels=2_000)
