"""When the reef's world is over, on painted frames."""

from __future__ import annotations

import numpy as np
import pytest

from unreel import UserError
from unreel.engine import registry
from unreel.modalities.media.frames import Frames
from unreel.modalities.video.dream.ending import LEAST, SPLIT, PlayerEnding, players
from unreel.modalities.video.dream.hunter import blobs
from unreel.modalities.video.dream.measure import player_mask

GREEN, PINK, SEA = (40, 180, 99), (230, 90, 190), (60, 120, 200)


def reef(*fish: tuple[int, int, int, int], frames: int = 2) -> Frames:
    """Frames with a player at every (top, left, height, width)."""
    film = np.empty((frames, 64, 64, 3), np.uint8)
    film[:] = SEA
    for top, left, height, width in fish:
        film[:, top : top + height, left : left + width] = GREEN
    return film


NONE, ONE, TWO = reef(), reef((30, 20, 4, 6)), reef((30, 20, 4, 6), (10, 50, 4, 6))


def verdicts(ending: PlayerEnding, *chunks: Frames) -> list[bool]:
    judged, found = (), []
    for chunk in chunks:
        judged, over = ending.judge(chunk, judged)
        found.append(over)
    return found


def test_players_are_counted_in_every_frame() -> None:
    assert players(np.concatenate([NONE, ONE, TWO])) == [0, 0, 1, 1, 2, 2]
    assert players(reef((5, 5, 1, LEAST - 1), (20, 20, 1, LEAST))) == [1, 1], "a speck is no player"


def test_without_a_gap_they_are_the_connected_regions_that_the_bench_has_always_counted() -> None:
    noise = np.random.default_rng(0).random((6, 64, 64)) < 0.3
    film = np.where(noise[..., None], np.uint8(GREEN), np.uint8(SEA))
    assert players(film) == [len(blobs(mask, least=6)) for mask in player_mask(film)]
    assert max(players(film)) > 1


@pytest.mark.parametrize(("gap", "count"), [(0, 1), (SPLIT, 1), (SPLIT + 1, 2)])
def test_a_player_behind_another_fish_is_one(gap: int, count: int) -> None:
    film = reef((30, 20, 4, 4), (30, 24 + gap, 4, 4))
    film[:, 26:38, 24 : 24 + gap] = PINK
    assert players(film, SPLIT) == [count] * 2
    assert players(film) == [2 if gap else 1] * 2


def test_parts_that_are_specks_alone_are_a_player_together() -> None:
    film = reef((30, 20, 1, LEAST - 1), (32, 20, 1, LEAST - 1))
    assert players(film) == [0, 0]
    assert players(film, SPLIT) == [1, 1]


def test_over_after_so_many_chunks_without_a_player() -> None:
    ending = PlayerEnding(lost=3, doubled=9)
    assert verdicts(ending, NONE, NONE, ONE, NONE, NONE, NONE) == [False] * 5 + [True]
    seen = np.concatenate([NONE[:1], ONE[:1]])
    assert not any(verdicts(ending, NONE, NONE, seen, NONE, NONE)), "seen in one frame of the chunk"


def test_over_after_so_many_chunks_with_several() -> None:
    ending = PlayerEnding(lost=9, doubled=2)
    assert verdicts(ending, ONE, TWO, ONE, TWO, TWO) == [False] * 4 + [True]
    parted = np.concatenate([TWO[:1], ONE[:1]])
    assert not any(verdicts(ending, TWO, parted, TWO, parted)), "one in one frame of the chunk"


def test_one_player_for_ever_is_no_end() -> None:
    assert not any(verdicts(PlayerEnding(1, 1), *[ONE] * 50))


@pytest.mark.parametrize("options", [{"lost": 0}, {"doubled": -1}, {"lost": 1.5}, {"doubled": True}])
def test_counts_are_checked(options: dict[str, object]) -> None:
    with pytest.raises(UserError, match="1 or more"):
        registry.create("ending", {"class": "player", **options})
