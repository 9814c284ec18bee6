"""Points on a mesh, farthest first, in the unit box."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.rigs import box_part, creature
from unreel.engine.errors import UserError
from unreel.modalities.rig.subject import farthest_first, subject_of
from unreel.modalities.skeleton.mesh import Mesh


def test_points_fill_the_unit_box_and_normals_are_unit() -> None:
    subject = subject_of(creature())
    assert subject.surface.shape == (1024, 6)
    assert np.abs(subject.surface[:, :3]).max() <= 0.5 + 1e-6
    assert np.ptp(subject.surface[:, 2]) > 0.95  # the longest side is the box's
    assert np.allclose(np.linalg.norm(subject.surface[:, 3:], axis=1), 1, atol=1e-5)
    assert np.array_equal(subject.surface, subject_of(creature()).surface)


def test_any_number_of_points_from_the_front_is_spread() -> None:
    points = np.random.default_rng(0).random((400, 3))
    order = farthest_first(points)
    assert sorted(order) == list(range(400))
    few = points[order[:20]]
    reach = np.linalg.norm(points[:, None] - few[None], axis=-1).min(1).max()
    plain = np.linalg.norm(points[:, None] - points[None, :20], axis=-1).min(1).max()
    assert reach < plain
    assert sorted(farthest_first(points, 20)) == list(range(400))
    assert np.array_equal(farthest_first(points, 20)[:20], order[:20])


def test_a_vertex_of_no_face_does_not_count() -> None:
    part = box_part((0, 0, 0), (1, 1, 1))
    stray = replace(part, positions=np.concatenate([part.positions, [[90, 0, 0]]]).astype(np.float32))
    assert subject_of(Mesh((stray,))).box.size == pytest.approx(1)


def test_a_flat_plane_is_a_surface_and_a_line_is_none() -> None:
    plane = subject_of(Mesh((box_part((0, 0, 0), (2, 0, 1)),)))
    assert np.abs(plane.surface[:, 1]).max() == 0
    with pytest.raises(UserError, match="no area"):
        subject_of(Mesh((box_part((0, 0, 0), (2, 0, 0)),)))
