"""The real game, where ViZDoom is installed; and what is made of one of its states, everywhere."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from unreel.modalities.world.doom.collect import Shoot, play
from unreel.modalities.world.doom.game import CEILING, FLOOR, HEIGHT, KEYS, THING, WALL, WIDTH, Doom, sight_of


def test_a_state_becomes_half_its_pixels() -> None:
    rgb, labels = np.zeros((120, 160, 3), np.uint8), np.zeros((120, 160), np.uint8)
    rgb[4:6, 0:2, 0] = [[10, 20], [30, 40]]  # the first pixel that is kept
    labels[:30], labels[90:], labels[60, 80] = 1, 1, 77
    depth = np.arange(120, dtype=np.uint8)[:, None].repeat(160, 1)
    state = SimpleNamespace(
        screen_buffer=rgb, labels_buffer=labels, depth_buffer=depth, game_variables=np.asarray([1.0, 2.0, 90.0])
    )
    sight = sight_of(state)
    assert sight.rgb.shape == (HEIGHT, WIDTH, 3)
    assert sight.rgb[0, 0].tolist() == [25, 0, 0]
    assert (sight.segmentation[:13] == CEILING).all()
    assert (sight.segmentation[43:] == FLOOR).all()
    assert sight.segmentation[28, 40] == THING
    assert (sight.segmentation[13:28] == WALL).all()
    assert sight.depth[:, 0].tolist() == list(range(4, 116, 2))
    assert sight.place.tolist() == [1, 2, 90]


@pytest.fixture(scope="module")
def doom() -> Iterator[Doom]:
    pytest.importorskip("vizdoom", reason="the game is not installed: pip install 'unreel[train]'")
    game = Doom()
    yield game
    game.close()


def test_the_same_seed_and_keys_are_the_same_episode(doom: Doom) -> None:
    first, again = (play(doom, Shoot("x", 3, 1)) for _ in range(2))
    for name, array in first.items():
        assert np.array_equal(array, again[name]), name
    assert not np.array_equal(first["place"][0], play(doom, Shoot("x", 4, 1))["place"][0])


def test_the_keys_do_what_they_say(doom: Doom) -> None:
    def moved(key: str) -> tuple[float, float]:
        """How far ahead, and how far to the left, four decisions bring the player."""
        before = doom.reset(5).place
        for _ in range(4):
            sight, _, _ = doom.step(KEYS.index(key))
        facing = np.deg2rad(before[2])
        ahead = (sight.place[:2] - before[:2]) @ np.asarray([np.cos(facing), np.sin(facing)])
        return float(ahead), float((sight.place[2] - before[2] + 180) % 360 - 180)

    assert moved("none") == (0, 0)
    assert moved("w")[0] > 10
    assert moved("s")[0] < -5
    assert moved("a")[1] > 10
    assert moved("d")[1] < -10


def test_rooms_are_furnished_and_nothing_is_left_behind(
    doom: Doom, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    other = Doom()
    shares = []
    for seed in range(6):
        other.reset(seed)
        shares += [(other.step(KEYS.index("a"))[0].segmentation == THING).mean() for _ in range(12)]
    other.close()
    assert np.mean(shares) > 0.005
    assert list(tmp_path.iterdir()) == []
