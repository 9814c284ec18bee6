"""FlowCache: per chunk, by what the chunk does, its last step always."""

from __future__ import annotations

import pytest
import torch
from reuse_items import item, levels_computed

from unreel.engine.errors import UserError
from unreel.engine.reuse.flowcache import FlowCache, relative_l1

STILL = [torch.ones(3)] * 8
LINE = [torch.ones(3) * (1 + k / 8) for k in range(8)]
WILD = [torch.ones(3) * (1 + (k % 2)) for k in range(8)]


def test_relative_l1() -> None:
    assert relative_l1(torch.tensor([2.0, -4.0]), torch.tensor([1.0, -2.0])) == pytest.approx(1.0)


@pytest.mark.parametrize("measure", ["input", "output"])
def test_threshold_zero_computes_everything(measure: str) -> None:
    policy = FlowCache(threshold=0, measure=measure)
    assert levels_computed(policy, STILL) == list(range(8))


def test_a_still_input_is_skipped_after_the_warmup_until_the_last_step() -> None:
    policy = FlowCache(threshold=0.1, warmup=3, measure="input")
    assert levels_computed(policy, STILL) == [0, 1, 2, 7]


def test_changes_of_the_input_add_up_since_the_last_computed_step() -> None:
    signals = [1.0, 1.06, 1.12, 1.19, 1.26, 1.34, 1.42, 1.5]  # about 6 % each
    policy = FlowCache(threshold=0.1, warmup=1, measure="input")
    assert levels_computed(policy, STILL, signals) == [0, 2, 4, 6, 7]


def test_output_skips_what_the_replay_hits_and_computes_what_it_misses() -> None:
    policy = FlowCache(threshold=0.05, warmup=2, measure="output", replay_as="linear")
    assert levels_computed(policy, STILL) == [0, 1, 7]
    assert levels_computed(policy, LINE) == [0, 1, 2, 7]  # the slope is known after two, trusted after three
    assert levels_computed(policy, WILD) == list(range(8))


def test_aligned_chunks_wait_for_their_level() -> None:
    signals = [1.0, 1.06, 1.12, 1.19, 1.26, 1.34, 1.42, 1.5]
    policy = FlowCache(threshold=0.1, warmup=1, measure="input", align=3)
    assert levels_computed(policy, STILL, signals) == [0, 3, 6, 7]
    assert levels_computed(FlowCache(threshold=0, align=3), STILL) == list(range(8))


def test_chunks_decide_for_themselves() -> None:
    policy = FlowCache(threshold=0.1, warmup=1, measure="input")
    calm: dict = {}
    new: dict = {}
    first = item(calm, 0)
    policy.split([first])
    policy.record(first, torch.ones(3))
    run, skip = policy.split([item(calm, 1), item(new, 0, chunk=1)])
    assert [i.chunk.index for i in run] == [1]
    assert [i.chunk.index for i in skip] == [0]


@pytest.mark.parametrize(
    "bad", [{"threshold": -1}, {"warmup": 0}, {"measure": "mood"}, {"replay_as": "twice"}, {"align": 0}]
)
def test_impossible_settings_are_refused(bad: dict) -> None:
    with pytest.raises(UserError):
        FlowCache(**bad)
