"""Items and the policy that never reuses."""

from __future__ import annotations

import pytest
import torch
from reuse_items import item

from unreel.engine.reuse.base import Never


def test_an_item_knows_its_place_in_the_schedule() -> None:
    first, last = item({}, 0, steps=4), item({}, 3, steps=4)
    assert first.steps == 4
    assert first.times == (0.0, 0.25)
    assert not first.last
    assert last.times == (0.75, 1.0)
    assert last.last


def test_never_computes_everything() -> None:
    here = item({}, 0)
    assert Never().split([here]) == ([here], [])
    Never().record(here, torch.zeros(3))
    assert here.memory == {}
    with pytest.raises(AssertionError):
        Never().replay(here)
