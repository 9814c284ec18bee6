"""Timestep: the skips are known before the stream begins."""

from __future__ import annotations

import pytest
import torch
from reuse_items import item, levels_computed

from unreel.engine.errors import UserError
from unreel.engine.reuse.timestep import Timestep
from unreel.engine.sampler.times import Grid

STILL = [torch.ones(3)] * 8


def test_threshold_zero_computes_everything() -> None:
    assert levels_computed(Timestep(threshold=0), STILL) == list(range(8))


def test_given_levels_are_computed_with_the_first_and_the_last() -> None:
    assert levels_computed(Timestep(levels=[2, 5]), STILL) == [0, 2, 5, 7]


def test_the_table_depends_on_the_schedule_alone_and_thins_with_the_threshold() -> None:
    grid = Grid().times(32)
    counts = [sum(Timestep(threshold=t).table(grid)) for t in (0.0, 0.05, 0.1, 0.2, 0.4)]
    assert counts == sorted(counts, reverse=True)
    assert counts[0] == 32
    assert counts[-1] < 12
    table = Timestep(threshold=0.2).table(grid)
    assert table[0]
    assert table[1]
    assert table[-1]


def test_a_chunk_without_anything_to_replay_is_computed() -> None:
    run, skip = Timestep(levels=[5]).split([item({}, 3)])
    assert len(run) == 1
    assert skip == []


def test_levels_beyond_the_steps_are_refused() -> None:
    with pytest.raises(UserError, match=r"0\.\.7"):
        levels_computed(Timestep(levels=[9]), STILL)


@pytest.mark.parametrize("bad", [{"threshold": -1}, {"warmup": 0}, {"spread": 0}, {"levels": [-1]}, {"replay_as": "x"}])
def test_impossible_settings_are_refused(bad: dict) -> None:
    with pytest.raises(UserError):
        Timestep(**bad)
