"""Bodies and paths: what may be sent, and what the model is told of a path where it stands."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from unreel.engine.errors import UserError
from unreel.engine.types import Chunk
from unreel.modalities.motion.body import BODY
from unreel.modalities.motion.controls import BodyCondition, PathCondition
from unreel.modalities.motion.path import TOLD, ahead, seen_from

CHUNK = Chunk(0, 0, 1, (1, 3, 16))
LINE = np.asarray([[0.0, 0.0], [0.0, 10.0]])
SQUARE = np.asarray([[0.0, 0.0], [0.0, 1.0], [1.0, 1.0], [1.0, 0.0]])


def test_ahead_is_ahead():
    told, along = ahead(LINE, False, 1.0, (0.0, 0.0, 0.0), 0.0)
    assert along == 0
    assert np.allclose(told, [0, 0.4, 0, 0.8, 0, 1.2, 1])
    told, along = ahead(LINE, False, 1.0, (0.5, 2.0, np.pi / 2), 1.5)
    assert along == pytest.approx(2.0)
    assert np.allclose(told[:2], [-0.4, -0.5])  # facing +X the line goes on to the right, which is -X of the heading


def test_an_open_path_ends_and_a_closed_one_does_not():
    told, _ = ahead(LINE, False, 1.0, (0.0, 10.0, 0.0), 9.5)
    assert np.allclose(told[:6], 0)
    told, along = ahead(SQUARE, True, 1.0, (0.0, 0.1, 0.0), 4.0)
    assert along == pytest.approx(4.1, abs=0.03)
    assert told[1] == pytest.approx(0.4, abs=0.03)


def test_a_crossing_is_no_shortcut():
    eight = np.asarray([[0, 0], [0, 4], [4, 4], [4, 2], [-4, 2]], float)
    _, along = ahead(eight, False, 1.0, (0.0, 2.0, 0.0), 1.8)
    assert along == pytest.approx(2.0, abs=0.03)


def test_seen_from_undoes_the_heading():
    place = (1.0, 2.0, 0.7)
    point = np.asarray([[1 + 3 * np.sin(0.7), 2 + 3 * np.cos(0.7)]])
    assert np.allclose(seen_from(point, place), [[0, 3]])


def test_paths_are_checked():
    condition = PathCondition()
    checked = condition.check([[0, 0], [0, 1]])
    assert checked == {"points": [[0.0, 0.0], [0.0, 1.0]], "speed": 1.2, "closed": False}
    assert condition.encode(checked, CHUNK, 0).shape == (3, 2)
    assert condition.encode(condition.check(None), CHUNK, 0).shape == (TOLD,)


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        ([[0, 0]], "2 to"),
        ([[0, 0], [0, 0]], "all in one place"),
        ([[0, 0], [0, float("nan")]], "finite"),
        ("round", "list of points"),
        ({"points": [[0, 0], [1, 1]], "speed": 0}, "speed"),
        ({"points": [[0, 0], [1, 1]], "closed": 1}, "closed"),
        ({"points": [[0, 0], [1, 1]], "pace": 1}, "pace"),
    ],
)
def test_paths_that_lead_nowhere_are_refused(path: Any, fault: str):
    with pytest.raises(UserError, match=fault):
        PathCondition().check(path)


def test_bodies_are_checked():
    condition = BodyCondition()
    assert torch.allclose(condition.encode(condition.check(BODY), CHUNK, 0), condition.null(CHUNK), atol=1e-6)
    for wrong in ([1.0], [0.0] * 22, "tall"):
        with pytest.raises(UserError, match="a body"):
            condition.check(wrong)
