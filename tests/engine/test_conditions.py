"""Conditions: what a chunk is told."""

import pytest
import torch

from unreel.engine.conditions import ActionCondition, TextCondition
from unreel.engine.errors import UserError
from unreel.engine.types import Chunk


def chunk(index: int) -> Chunk:
    return Chunk(index, index * 2, 2, (2, 1))


def test_a_script_repeats_from_where_it_began() -> None:
    condition = ActionCondition(["none", "w", "d"])
    script = condition.check("w-3,d-1")
    told = [condition.encode(script, chunk(c), since=4).tolist() for c in (2, 3, 4)]
    assert told == [[1, 1], [1, 2], [1, 1]]


def test_held_keys_ids_and_nothing() -> None:
    condition = ActionCondition(["none", "w", "d"])
    assert condition.encode(condition.check("d"), chunk(9), 3).tolist() == [2, 2]
    assert condition.encode(condition.check([1, 2]), chunk(0), 0).tolist() == [1, 2]
    assert condition.encode(None, chunk(0), 0).tolist() == [0, 0]
    assert condition.null(chunk(0)).tolist() == [3, 3]


@pytest.mark.parametrize("value", ["jump", [7], []])
def test_unknown_actions_are_refused(value: object) -> None:
    with pytest.raises(UserError):
        ActionCondition(["none", "w"]).check(value)


def test_text_is_an_embedding_or_goes_through_the_encoder() -> None:
    assert TextCondition(3).check([1, 2, 3]) == [1.0, 2.0, 3.0]
    assert TextCondition(2, encoder=lambda text: [len(text), 1]).check("abc") == [3.0, 1.0]
    assert torch.equal(TextCondition(2).encode(None, chunk(0), 0), torch.zeros(2))
    with pytest.raises(UserError, match="encoder"):
        TextCondition(3).check("a castle")
    with pytest.raises(UserError, match=r"\(3,\)"):
        TextCondition(3).check([1.0])
