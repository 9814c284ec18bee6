"""Playing, learning, exporting, on a made-up game and at tiny sizes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from world.game import LENGTH, Bar
from world.tiny import CODEC, NET, tiny_world

import unreel
from unreel.engine.errors import UserError
from unreel.engine.learner import Pace
from unreel.modalities.world.doom import codec_trainer, collect, data, export, train
from unreel.modalities.world.doom import sheet as sheets
from unreel.modalities.world.doom.codec_trainer import CodecTrainer
from unreel.modalities.world.doom.game import HELD_OUT, KEYS
from unreel.modalities.world.doom.trainer import Lesson, Trainer

SIZES = {name: value for name, value in NET.items() if name not in ("channels", "rows", "columns")}
LESSON = Lesson(2, 3, own_from=0.0)
PACE = Pace(10.0, 2e-3, warmup=5)


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("played")
    collect.collect(folder, 1, Bar)
    return folder


def test_what_is_played_is_told_frame_by_frame(played: Path) -> None:
    seen = data.load_played(played)
    assert len(seen.frames) == 32 * LENGTH
    assert np.flatnonzero(seen.first).tolist() == list(range(0, 32 * LENGTH, LENGTH))
    assert np.flatnonzero(seen.done).tolist() == list(range(LENGTH - 1, 32 * LENGTH, LENGTH))
    game = Bar()
    game.reset(int(seen.seed[5 * LENGTH]))
    for t in range(5 * LENGTH + 1, 6 * LENGTH):  # the action of a frame led to it
        sight, reward, done = game.step(int(seen.action[t]))
        assert np.array_equal(sight.rgb, seen.frames[t])
        assert np.array_equal(sight.place, seen.place[t])
        assert (reward, done) == (seen.reward[t], seen.done[t])


def test_held_out_episodes_are_others(played: Path) -> None:
    assert data.load_played(played).seed.max() < HELD_OUT <= data.load_played(played, "test").seed.min()
    with pytest.raises(UserError, match="both sides"):
        collect.Shoot("x", HELD_OUT - 1)
    with pytest.raises(UserError, match="play the game first"):
        data.load_played(played, "nothing")


def test_only_what_is_missing_is_played(played: Path) -> None:
    def never() -> Bar:
        raise AssertionError("nothing is missing")

    collect.collect(played, 1, never)


def test_the_wanderer_turns_away_from_walls_and_does_all_else() -> None:
    policy = collect.Wanderer(0)
    free = {policy(np.full((16, 32), 50, np.uint8)) for _ in range(400)}
    assert free == set(range(len(KEYS)))
    while "w" not in KEYS[policy(np.full((16, 32), 50, np.uint8))]:
        pass
    near = [KEYS[policy(np.full((16, 32), 2, np.uint8))] for _ in range(20)]
    assert len(set(near)) == 1
    assert near[0] in ("a", "d")


def test_windows_stay_in_their_episode() -> None:
    seed = np.repeat(np.asarray([3, 4, 9], np.int32), (4, 2, 5))
    assert data.starts_of(seed, 4).tolist() == [0, 6, 7]
    windows = data.Windows(torch.arange(11.0)[:, None, None, None], np.arange(11, dtype=np.int8), seed, 4)
    latents, actions = windows.batch(20, torch.Generator().manual_seed(0))
    assert torch.equal(latents[..., 0, 0, 0].long(), actions)
    assert set(actions[:, 0].tolist()) == {0, 6, 7}
    with pytest.raises(UserError, match="no episode has 6"):
        data.starts_of(seed, 6)


def test_the_codec_learns_all_it_is_asked_for(played: Path, tmp_path: Path) -> None:
    trainer = CodecTrainer(data.load_played(played), PACE, tmp_path, CODEC, samples=8)
    first = trainer.learner.update(trainer.loss)
    for _ in range(150):
        last = trainer.learner.update(trainer.loss)
    for name in ("rgb", "classes", "depth"):
        assert last[name] < 0.7 * first[name], name


def test_the_blind_network_and_the_flow_differ_in_what_they_see(tmp_path: Path) -> None:
    latents, seed = torch.randn(40, 4, 2, 4), np.repeat(np.arange(2, dtype=np.int32), 20)
    action = np.zeros(40, np.int8)
    flow, blind = (
        Trainer(latents, action, seed, PACE, tmp_path / str(b), "n", {**SIZES, "blind": b}, LESSON) for b in (0, 1)
    )
    assert blind.times(3, 4).abs().max() == 0
    assert 0 < (flow.times(100, 4) == 0).float().mean() < 0.3
    clean, actions = (x.unflatten(1, (3, 2)) for x in flow.windows.batch(2, torch.Generator().manual_seed(0)))
    zeros, ones = torch.zeros(2, 3), torch.ones(2, 3)
    for trainer, equal in ((flow, False), (blind, True)):
        with torch.no_grad():
            drawn = [trainer.drawn(clean, other, ones, zeros, actions)[0] for other in (clean, 2 * clean)]
        assert torch.equal(*drawn) is equal
        own = trainer.own(clean, actions)
        assert torch.equal(own[:, 0], clean[:, 0])
        assert not torch.equal(own[:, 1:], clean[:, 1:])


def test_a_flow_learns_what_follows(tmp_path: Path) -> None:
    """Two pictures that take turns: what comes is certain, and the error at pure noise goes down."""
    latents = torch.randn(2, 4, 2, 4).repeat(60, 1, 1, 1)
    trainer = Trainer(
        latents, np.zeros(120, np.int8), np.zeros(120, np.int32), PACE, tmp_path, "n", SIZES,
        replace(LESSON, start_share=0.6, sequences=8),
    )  # fmt: skip
    for _ in range(80):
        last = trainer.learner.update(trainer.loss)
    assert last["start"] < 0.5


def test_everything_is_trained_resumed_exported_and_loads(
    played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_trainer, "TESTED", 8)
    monkeypatch.setattr(train, "Trainer", lambda *a, **k: Trainer(*a, **k, lesson=LESSON))
    monkeypatch.setattr(export, "HEIGHT", 16)
    monkeypatch.setattr(export, "WIDTH", 32)
    monkeypatch.setattr(sheets, "OBSERVED", 4)
    monkeypatch.setattr(sheets, "SHOWN", (0, 1, 4))
    monkeypatch.setattr(train, "OBSERVED", 4)
    monkeypatch.setattr(train, "AHEAD", 4)
    monkeypatch.setattr(export, "export_seeds", lambda held, path, seeds=export.export_seeds: seeds(held, path, 3, 6))
    minutes = {"codec": 0.01, "flow": 0.01, "regression": 0.01}
    stages = ("codec", "flow", "regression", "export")
    for _ in range(2):  # the second time nothing is left to learn
        train.train(played, tmp_path, stages, minutes, 1, codec_sizes=CODEC, net_sizes=SIZES)
    for name, steps in (("doom", 6), ("doom-regression", 1)):
        model = unreel.load(tmp_path / name, device="cpu", dtype="float32")
        assert model.card.schedule.steps == steps
        assert model.card.training["codec"]["steps"] > 0
        assert {part: len(told) for part, told in model.card.residuals.items()} == (
            {"rgb": 4, "depth": 4} if name == "doom" else {}
        )
        assert model.seeds["frames"].shape == (3, 6, 16, 32, 3)
        session = model.session(seed=1, actions="w-3,a-2")
        film = [event.payload for event in session.stream(chunks=2)]
        assert [frames.shape for frames in film] == [(2, 16, 32, 3)] * 2
    assert (tmp_path / "sheet.png").exists()
    with pytest.raises(UserError, match="there is no checkpoint"):
        export.export(tmp_path / "none", "doom", tmp_path / "x", data.load_played(played, "test"))


def test_a_run_may_begin_from_shipped_weights(
    played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run without a codec of its own; the card adds up what was trained before and now."""
    monkeypatch.setattr(codec_trainer, "TESTED", 8)
    monkeypatch.setattr(train, "Trainer", lambda *a, **k: Trainer(*a, **k, lesson=LESSON))
    monkeypatch.setattr(export, "export_seeds", lambda held, path: None)
    minutes = {"codec": 0.01, "flow": 0.01, "regression": 0.01}
    old, new = tmp_path / "old", tmp_path / "new"
    train.train(played, old, ("codec", "flow"), minutes, 1, codec_sizes=CODEC, net_sizes=SIZES)
    shipped = tmp_path / "weights"
    export.export(old, "doom", shipped, data.load_played(played, "test"))
    train.train(played, new, ("codec", "flow"), {**minutes, "flow": 1e-9}, 1, net_sizes=SIZES, warm=shipped)
    assert not (new / "codec.pt").exists()
    content = torch.load(new / "flow.pt", weights_only=True)
    before = torch.load(old / "flow.pt", weights_only=True)["average"]
    assert all(torch.allclose(content["average"][name], before[name], atol=2e-3) for name in before)
    card = export.card("doom", content, export._codec(new, content))["training"]
    began = content["began"]
    assert began["steps"] > 2000, "what the shipped card says"
    assert card["steps"] == content["step"] + began["steps"]
    assert card["began_with"]["steps"] == began["steps"]
    assert card["codec"] == began["codec"]
    assert card["command"].endswith("--warm")


def test_a_sheet_shows_the_truth_beside_the_forecasts(
    played: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sheets, "OBSERVED", 4)
    monkeypatch.setattr(sheets, "SHOWN", (0, 1, 4))
    held_out = data.load_played(played, "test")
    rows = sheets.sheet({"flow": tiny_world()}, held_out, tmp_path / "sheet.png", at=LENGTH)
    assert list(rows)[:2] == ["rgb, true", "rgb, flow"]
    assert len(rows) == 6
    assert all(film.shape == (5, 16, 32, 3) for film in rows.values())
    assert np.array_equal(rows["rgb, true"], held_out.frames[LENGTH + 3 : LENGTH + 8])
    assert np.array_equal(rows["rgb, flow"][0], rows["rgb, true"][0])
    assert (tmp_path / "sheet.png").stat().st_size > 500


def test_bad_wishes_are_told() -> None:
    with pytest.raises(UserError, match="above 0"):
        train.main(["--minutes", "0"])
