"""The reward head, what it learns from and the hunter, on a toy game; nothing is filmed."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
import torch

from unreel.engine.card import read_card
from unreel.engine.errors import UserError
from unreel.engine.shipping import write_weights
from unreel.modalities.video.dream import hunter, reward_train, train
from unreel.modalities.video.dream.reward import CHANNELS, DISCOUNT, HALF, RewardHead, around_player, load_head
from unreel.modalities.video.dream.reward_play import UNKNOWN, PlayConfig, Samples, dreamt, record, returns

WATER, GREEN, PINK = (20, 60, 200), (39, 174, 96), (220, 130, 230)


def picture(player: tuple[int, int] | None, *fish: tuple[int, int, int]) -> np.ndarray:
    """A frame with the player's centre and fish (x, y, width)."""
    frame = np.full((64, 64, 3), WATER, np.uint8)
    for x, y, width in fish:
        frame[y - 1 : y + 2, max(0, x - width // 2) : x - width // 2 + width] = PINK
    if player is not None:
        x, y = player
        frame[y - 3 : y + 4, x - 3 : x + 4] = GREEN
    return frame


class ToyGame:
    """The player goes right; every fifth frame it eats a fish, with the 23rd it is eaten and all begins anew."""

    def reset(self, level: int) -> np.ndarray:
        self.made = 0
        return self._frame()

    def act(self, action: int) -> tuple[np.ndarray, float, bool]:
        self.made = self.made + 1 if self.made < 23 else 0
        return self._frame(), float(self.made % 5 == 0 and self.made > 0), self.made == 0

    def close(self) -> None:
        pass

    def _frame(self) -> np.ndarray:
        return picture((10 + self.made, 30), (15 + self.made // 5 * 5, 30, 3), (50, 10, 12))


def test_the_head_sees_fish_and_player_around_the_players_place() -> None:
    before, after = picture((20, 30), (26, 30, 4), (60, 60, 5)), picture((21, 30), (60, 60, 5))
    seen = around_player(np.stack([[before, after, after]]))
    assert seen.shape == (1, CHANNELS, 2 * HALF, 2 * HALF)
    fish, player, inside = seen[0, 0], seen[0, 3:6], seen[0, 6]
    assert fish[HALF, HALF + 6] == 255
    assert fish[HALF, HALF] == 0
    assert int((fish > 0).sum()) == 12, "the far fish lies outside"
    assert [int((p > 0).sum()) for p in player] == [49, 49, 49]
    assert bool(player[0, HALF - 3, HALF - 3])
    assert not player[1, HALF - 3, HALF - 3]
    assert (inside[0, 3], inside[0, 4]) == (0, 255), "four pixels of the square lie left of the picture"


def test_a_lost_player_is_looked_for_where_episodes_begin() -> None:
    empty = picture(None, (14, 58, 3))
    seen = around_player(np.stack([[empty] * 3]))
    assert seen[0, 0, HALF, HALF] == 255
    assert around_player(np.zeros((0, 3, 64, 64, 3), np.uint8)).shape == (0, CHANNELS, 2 * HALF, 2 * HALF)


def test_returns_are_discounted_and_unknown_where_play_was_cut() -> None:
    ended = returns([0, 1, 0, 2], ended=True)
    assert ended.tolist() == pytest.approx([1 + 2 * DISCOUNT**2, 2 * DISCOUNT, 2, 0])
    cut = returns([1.0] * (UNKNOWN + 2), ended=False)
    assert np.isnan(cut).tolist() == [False] * 2 + [True] * UNKNOWN


def test_recorded_play_and_its_windows() -> None:
    samples, windows = record(ToyGame(), PlayConfig(ahead=2), 24, 0)  # type: ignore[arg-type]
    assert samples.seen.shape == (24, CHANNELS, 2 * HALF, 2 * HALF)
    assert samples.labels[:12, 1].tolist() == [0] * 11 + [1]
    assert samples.labels[:12, 0].tolist() == [0, 0, 1, 0, 1, 0, 0, 1, 0, 1, 0, 0]
    assert samples.rare.sum() == 2 * 5
    assert any(window.labels[:, 1].any() for window in windows)
    for window in windows:
        assert len(window.frames) == len(window.actions) <= 12
        assert len(window.then) == 4
        assert 1 <= len(window.labels) <= 2


def test_areas_under_the_curve() -> None:
    truth = np.array([False, False, True, True])
    assert reward_train.area(np.array([1, 2, 3, 4]), truth) == 1
    assert reward_train.area(np.array([1, 3, 2, 4]), truth) == 0.75
    assert reward_train.area(np.zeros(4), truth) == 0.5
    assert np.isnan(reward_train.area(np.zeros(4), truth & False))


def test_a_head_learns_what_eating_looks_like() -> None:
    seen = torch.zeros(200, CHANNELS, 2 * HALF, 2 * HALF, dtype=torch.uint8)
    labels = np.zeros((200, 3), np.float32)
    seen[::4, 0, 20:28, 20:28], labels[::4, 0] = 255, 1  # a fish at the player before, and none after
    seen[1::4, :3, 20:28, 20:28], labels[1::4, 1] = 255, 1
    seen[2::4, 2, 8:40, 8:40], labels[2::4, 2] = 255, 1.5
    samples = Samples(seen, labels)
    head = reward_train.fit(
        [samples], reward_train.RewardConfig(updates=60, batch=16, rate=4e-3), note=lambda text: None
    )
    figures = reward_train.measure(head, samples)
    assert figures["reward_auc"] == figures["ended_auc"] == 1
    assert figures["value_correlation"] > 0.9
    assert (figures["fish"], figures["ends"]) == (50, 50)
    judged = head.judge(samples.seen)
    assert float(judged.reward.mean()) == pytest.approx(0.25, abs=0.08), "calibrated, although the rare is drawn often"


def test_training_dreams_of_the_play_measures_and_exports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import fake

    model = fake.fake_model(
        tmp_path / "fake", media={"fps": 15, "height": 64, "width": 64},
        conditions={"action": {"keys": [*fake.KEYS, "wa", "wd", "as", "sd"]}},
        architecture={"class": "patch-dit", **fake.ARCHITECTURE, "actions": 9},
    )  # fmt: skip
    config = reward_train.RewardConfig(chunks=18, windows=6, updates=2, batch=4, play=PlayConfig(ahead=2))
    windows = record(ToyGame(), config.play, 12, 0)[1]  # type: ignore[arg-type]
    dreams = dreamt(model, windows, config.play, batch=2)
    assert len(dreams.labels) == len(dreams.seen) == sum(len(window.labels) for window in windows)
    monkeypatch.setattr(reward_train, "Game", lambda venv: ToyGame())
    found = reward_train.train_reward(model, tmp_path / "out", tmp_path, config)
    assert json.loads((tmp_path / "out" / "dream_reward.json").read_text())["windows"] == 6
    assert set(found["held_out"]) == {"real", "dreamt"}
    head = load_head(tmp_path / "out" / "dream_reward.safetensors")
    assert head.judge(dreams.seen).reward.shape == (len(dreams.seen),)


def test_other_files_are_no_heads(tmp_path: Path) -> None:
    write_weights(tmp_path / "x.safetensors", {"a": torch.zeros(1)})
    with pytest.raises(UserError, match="holds no reward head"):
        load_head(tmp_path / "x.safetensors")
    assert sum(p.numel() for p in RewardHead().parameters()) < 250_000


def test_the_hunter_goes_for_small_fish_and_away_from_big_ones() -> None:
    way = hunter.WAYS
    small = hunter.hunt(picture((30, 30), (50, 30, 4)))
    assert way[small].tolist() == [1, 0]
    assert way[hunter.hunt(picture((30, 30), (30, 45, 4)))].tolist() == [0, 1]
    scared = way[hunter.hunt(picture((30, 30), (42, 30, 12), (5, 30, 4)))]
    assert scared[0] < 0
    away = way[hunter.hunt(picture((30, 30), (30, 22, 12)))]
    assert away[1] > 0
    assert hunter.hunt(picture(None, (30, 30, 4))) == 0


def test_blobs_are_connected_regions() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:4, 3:9] = mask[4, 9] = mask[15, 15] = True  # a corner still connects; one pixel alone is nothing
    ((x, y, width),) = hunter.blobs(mask)
    assert width == 7
    assert (x, y) == pytest.approx(((5.5 * 12 + 9) / 13, (2.5 * 12 + 4) / 13))


def test_random_keys_are_held() -> None:
    sticky = hunter.Sticky(0)
    keys = [sticky(picture(None)) for _ in range(300)]
    changes = sum(a != b for a, b in zip(keys, keys[1:], strict=False))
    assert 20 < changes < 80
    assert len(set(keys)) == 9


def test_the_command_judges_the_shipped_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = []
    monkeypatch.setattr(train, "train_reward", lambda *given: asked.append(given) or {"held_out": {"real": 1}})
    train.main(["--reward", "--out", str(tmp_path)])
    ((model, out, venv),) = asked
    assert (model.name, out, venv) == ("dream", tmp_path / "model", tmp_path / "collector-venv")
    assert "dream_reward.safetensors" in capsys.readouterr().out


def test_the_shipped_head_knows_a_meal_from_a_swim() -> None:
    card = read_card(Path(str(files("unreel.configs"))) / "models" / "dream.yaml")
    assert card.reward is not None
    head = load_head(train.WEIGHTS / card.reward)
    assert (train.WEIGHTS / card.reward).stat().st_size < 1_000_000
    eats = [picture((30, 30), (35, 30, 4)), picture((31, 30), (35, 30, 4)), picture((32, 30))]
    swims = [picture((30 + i, 30), (60, 10, 4)) for i in range(3)]
    gone = [picture((30, 30), (36, 30, 14)), picture((14, 58)), picture((14, 58))]
    judged = head.judge(around_player(np.stack([eats, swims, gone])))
    assert judged.reward[0] > 3 * judged.reward[1]
    assert judged.ended[2] > 0.5 > 10 * judged.ended[1]
