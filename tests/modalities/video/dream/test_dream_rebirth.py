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
    homes, elsewhere = data.births(shards[0])
    assert homes.tolist() == [[0, 20], [0, 60]]
    assert elsewhere[0, [0, 39, 40, 79]].tolist() == [1, 1, 2, 2]


def test_windows_hold_no_birth_elsewhere(shards: list[data.Shard]) -> None:
    windows = data.Windows(shards, 12)
    for frames, _ in (windows.batch(40), windows.around(40, 32, 0, 32)):
        steps = np.diff([measure.player_place(film)[:, 0] for film in frames.numpy()], axis=1)
        assert np.nanmin(steps) > -25, "none jumps back from 51 to 8"


def test_windows_of_births_say_where_they_are(shards: list[data.Shard]) -> None:
    frames, actions, born = data.Windows(shards, 12).births(60)
    assert actions.shape == (60, 12)
    for film, at in zip(frames.numpy(), born, strict=True):
        assert abs(measure.player_place(film[at : at + 1])[0, 0] - rebirth.HOME_X) <= rebirth.NEAR
    assert set(born) == {2, 4, 6, 8, 10}


FILM = filmed([10, 11, 12, 13, 14, 15, 32, 33, 34, 35])
PLAYER = torch.from_numpy(measure.player_mask(FILM))[None]


def test_a_lost_player_is_gone_until_it_is_born_and_nothing_between_is_asked() -> None:
    begins, pale = set(), 0
    for seed in range(20):
        real = pixels(FILM)
        frames, known = rebirth.lost(real, PLAYER, [6], BACKDROP, torch.Generator().manual_seed(seed))
        assert torch.equal(real, pixels(FILM)), "what is real stays as it is"
        film = bytes_of(frames)[0]
        gone = np.flatnonzero(~measure.player_mask(film[:6]).any((1, 2)))
        begin = int(gone[0])
        pale += bool(np.abs(film[6:].astype(int) - FILM[6:]).max() > 2)
        begins.add(begin)
        assert gone.tolist() == list(range(begin, 6))
        assert known[0].tolist() == [1.0 if 2 * chunk <= begin or chunk >= 3 else 0.0 for chunk in range(5)]
        assert abs(film[begin:6].astype(int) - BLUE).max() <= 1
    assert begins == {0, 1, 2, 3, 4}
    assert 4 < pale < 16, "who is newly born may be faint"


@pytest.mark.parametrize("corner", [(0, 0), (32, 16)])
def test_a_second_player_comes_and_moves_as_the_first(corner: tuple[int, int]) -> None:
    y, x = corner
    film = FILM[:6, y:, x:] if y else FILM[:6]
    film = film[:, :32, :32] if y else film
    player = torch.from_numpy(measure.player_mask(film))[None]
    ghosts = at_home = 0
    for seed in range(60):
        frames = rebirth.haunted(pixels(film), player, corner, torch.Generator().manual_seed(seed))
        changed = np.abs(bytes_of(frames)[0].astype(int) - film).max(-1) > 2
        when = np.flatnonzero(changed.any((1, 2)))
        if len(when):
            ghosts += 1
            assert when[0] >= 2
            at_home += bool(changed[when[0], round(rebirth.HOME_Y) - y, round(rebirth.HOME_X) - x])
    assert 15 < ghosts < 55
    assert at_home >= 4


def test_maps_are_moved_and_what_comes_in_is_empty() -> None:
    maps = torch.arange(9.0).view(1, 1, 3, 3) + 1
    assert rebirth.moved(maps, 1, -1)[0, 0].tolist() == [[0, 0, 0], [2, 3, 0], [5, 6, 0]]
    assert not rebirth.moved(maps, -3, 0).any()
    assert torch.equal(rebirth.moved(maps, 0, 0), maps)
