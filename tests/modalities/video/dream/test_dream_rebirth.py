"""What is learnt of being eaten: births at home only, and contexts spoilt so that their outcome is certain."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from unreel.modalities.video.dream import data, measure, rebirth

GREEN = (39, 174, 96)
BLUE = (20, 60, 200)
BACKDROP = torch.tensor(BLUE)[:, None, None].expand(3, 64, 64) / 127.5 - 1.0


def filmed(places: list[int]) -> np.ndarray:
    """A 5x5 player on blue whose centre is at the given x, a frame each."""
    frames = np.full((len(places), 64, 64, 3), BLUE, np.uint8)
    for t, x in enumerate(places):
        frames[t, 55:60, x - 2 : x + 3] = GREEN
    return frames


def pixels(frames: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(frames).movedim(-1, 1).float()[None] / 127.5 - 1.0


def bytes_of(pixels_BT3PP: torch.Tensor) -> np.ndarray:
    return ((pixels_BT3PP + 1) * 127.5).round().byte().movedim(2, -1).numpy()


@pytest.fixture
def shards(tmp_path: Path) -> list[data.Shard]:
    """One stream in which episodes begin at home (frame 20), elsewhere (40) and at home again (60)."""
    places = [*range(10, 30), *range(32, 52), *range(8, 28), *range(33, 53)]
    first = np.zeros((1, 80), bool)
    first[0, [0, 20, 40, 60]] = True
    np.save(tmp_path / "train0.frames.npy", filmed(places)[None])
    np.savez(tmp_path / "train0.npz", action=np.zeros((1, 80), np.int8), first=first, level=np.zeros((1, 80), int))
    return data.load_shards(tmp_path)


def test_births_are_told_by_their_place(shards: list[data.Shard]) -> None:
    homes, elsewhere = rebirth.births(shards[0])
    assert homes.tolist() == [[0, 20], [0, 60]]
    assert elsewhere[0, [0, 39, 40, 79]].tolist() == [1, 1, 2, 2]


def test_windows_hold_no_birth_elsewhere(shards: list[data.Shard]) -> None:
    windows = data.Windows(shards, 12)
    for frames, _ in (windows.batch(40), windows.around(40, 32, 0, 32)):
        steps = np.diff([measure.player_place(film)[:, 0] for film in frames.numpy()], axis=1)
        assert np.nanmin(steps) > -25, "none jumps back from 51 to 8"
    assert len(windows.newborn()) == 2


def test_windows_of_births_say_where_they_are(shards: list[data.Shard]) -> None:
    frames, actions, born = data.Windows(shards, 12).births(60)
    assert actions.shape == (60, 12)
    for film, at in zip(frames.numpy(), born, strict=True):
        assert abs(measure.player_place(film[at : at + 1])[0, 0] - rebirth.HOME_X) <= rebirth.NEAR
    even = np.mean([at % 2 == 0 for at in born])
    assert 0.55 < even < 0.9


def spoil(born: int, seed: int) -> tuple[np.ndarray, list[float]]:
    film = filmed([10, 11, 12, 13, 14, 15, 32, 33, 34, 35])
    real = pixels(film)
    home = rebirth.home_layer(filmed([32]), BACKDROP)
    player = torch.from_numpy(measure.player_mask(film))[None]
    frames, known = rebirth.spoilt(real, player, [born], BACKDROP, home, torch.Generator().manual_seed(seed))
    assert torch.equal(real, pixels(film)), "what is real stays as it is"
    return bytes_of(frames)[0], known[0].tolist()


def test_a_lost_player_is_born_again_and_nothing_before_it_is_asked() -> None:
    lost = 0
    for seed in range(20):
        frames, known = spoil(6, seed)
        gone = np.flatnonzero(~measure.player_mask(frames[:6]).any((1, 2)))
        if not len(gone):
            assert known == [1.0] * 5
            continue
        lost += 1
        begin = int(gone[0])
        assert begin <= 4
        assert gone.tolist() == list(range(begin, 6)), "from some frame on until it is born"
        assert known == [1.0 if 2 * chunk <= begin or chunk >= 3 else 0.0 for chunk in range(5)]
        assert abs(frames[begin:6].astype(int) - BLUE).max() <= 1
    assert 10 < lost < 20


def test_what_is_left_of_the_sea_before_is_pale() -> None:
    left = 0
    for seed in range(40):
        frames, known = spoil(5, seed)  # in the middle of a chunk: the player is never lost
        assert known == [1.0] * 5
        old = frames[7, 57, 14].astype(int)  # where the player was before
        change = float(np.abs(old - BLUE).max()) / float(np.abs(np.subtract(GREEN, BLUE)).max())
        left += change > 0.02
        assert change <= 0.51
    assert 8 < left < 32


def test_a_second_player_comes_to_home_and_is_not_asked_for() -> None:
    ghosts = 0
    for seed in range(40):
        frames, known = spoil(-1, seed)
        assert known == [1.0] * 5
        changed = np.flatnonzero(np.abs(frames[:6, 57, 32].astype(int) - BLUE).max(1) > 2)
        ghosts += bool(len(changed))
        if len(changed):
            assert changed.tolist() == list(range(int(changed[0]), 6))
            assert changed[0] >= 2
    assert 4 < ghosts < 20


def test_without_births_nothing_is_a_home() -> None:
    picture, mask = rebirth.home_layer(np.zeros((0, 64, 64, 3), np.uint8), BACKDROP)
    assert torch.equal(picture, BACKDROP)
    assert not mask.any()
