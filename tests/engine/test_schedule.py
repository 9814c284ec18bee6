"""One formula covers block by block, pipelines of any offset and the full sequence."""

import pytest

from unreel.engine.errors import UserError
from unreel.engine.schedule import Schedule


def test_block_by_block_finishes_one_chunk_before_the_next() -> None:
    assert list(Schedule(2).rows(2)) == [{0: 0}, {0: 1}, {1: 0}, {1: 1}]


def test_a_pipeline_is_magi_and_skyreels() -> None:
    rows = list(Schedule(4, offset=1).rows(3))
    assert rows[2] == {0: 2, 1: 1, 2: 0}
    assert len(rows) == 4 + 2 * 1  # S + (n - 1) * offset


def test_offset_zero_moves_all_together() -> None:
    assert list(Schedule(3, offset=0).rows(2)) == [{0: 0, 1: 0}, {0: 1, 1: 1}, {0: 2, 1: 2}]


@pytest.mark.parametrize(("steps", "offset", "pipelined"), [(4, None, False), (4, 9, False), (4, 3, True)])
def test_an_offset_beyond_the_steps_only_idles(steps: int, offset: int | None, pipelined: bool) -> None:
    assert Schedule(steps, offset).pipelined is pipelined
    assert Schedule(steps, offset).gap <= steps


@pytest.mark.parametrize(("steps", "offset"), [(0, None), (4, -1)])
def test_impossible_schedules_are_refused(steps: int, offset: int | None) -> None:
    with pytest.raises(UserError):
        Schedule(steps, offset)
