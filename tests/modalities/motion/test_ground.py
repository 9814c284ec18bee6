"""Who floats comes down, who leaps does not, and chunks give what the whole gives."""

from __future__ import annotations

import numpy as np

from unreel.modalities.motion.ground import GROUND, MOMENTS, grounded


def test_who_floats_comes_down_and_who_sinks_comes_up():
    for height in (0.4, -0.3):
        lowest = np.full(300, GROUND + height)
        up, _ = grounded(lowest, None)
        assert abs(up[0]) < 0.1 * abs(height)
        assert np.abs(np.diff(up)).max() < 0.1 * abs(height), "without a jump"
        assert np.allclose(lowest[-100:] + up[-100:], GROUND, atol=1e-3)


def test_a_leap_stays_a_leap():
    lowest = np.full(90, GROUND)
    lowest[30 : 30 + MOMENTS - 1] += 0.5
    up, _ = grounded(lowest, None)
    assert np.allclose(up, 0)


def test_chunks_give_what_the_whole_gives():
    lowest = np.random.default_rng(0).normal(0.2, 0.1, 60)
    whole, end = grounded(lowest, None)
    state, parts = None, []
    for first in range(0, 60, 4):
        part, state = grounded(lowest[first : first + 4], state)
        parts.append(part)
    assert np.array_equal(np.concatenate(parts), whole)
    assert state is not None
    assert np.array_equal(state, end)
