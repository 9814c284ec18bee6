"""TeaCache: one decision for all chunks of a step."""

from __future__ import annotations

import pytest
import torch
from reuse_items import item, levels_computed

from unreel.engine.errors import UserError
from unreel.engine.reuse.teacache import TeaCache

STILL = [torch.ones(3)] * 8


def test_threshold_zero_computes_everything() -> None:
    assert levels_computed(TeaCache(threshold=0), STILL) == list(range(8))


def test_a_lone_chunk_is_skipped_between_warmup_and_last_step() -> None:
    assert levels_computed(TeaCache(threshold=0.1, warmup=2), STILL) == [0, 1, 7]


def test_one_chunk_that_must_be_computed_makes_all_be() -> None:
    policy, calm = TeaCache(threshold=0.1, warmup=1), {}
    first = item(calm, 0)
    policy.split([first])
    policy.record(first, torch.ones(3))
    assert policy.split([item(calm, 1)])[0] == []
    run, skip = policy.split([item(calm, 2), item({}, 0, chunk=1)])
    assert [i.chunk.index for i in run] == [0, 1]
    assert skip == []
    assert policy.split([]) == ([], [])


@pytest.mark.parametrize("bad", [{"threshold": -1}, {"warmup": 0}, {"replay_as": "twice"}])
def test_impossible_settings_are_refused(bad: dict) -> None:
    with pytest.raises(UserError):
        TeaCache(**bad)
