"""A patch knows its face and its place, and refuses to be anything else."""

from __future__ import annotations

import numpy as np
import pytest

from unreel.engine.errors import UserError
from unreel.modalities.panorama.patch import FacePatch


def test_a_patch_knows_its_place() -> None:
    strip = FacePatch("U", np.full((4, 8, 128, 3), 7, np.uint8), top=120)
    strip.check(128)
    assert (strip.height, strip.width, strip.is_whole(128)) == (8, 128, False)
    face = np.zeros((4, 128, 128, 3), np.uint8)
    assert FacePatch("U", face).is_whole(128)
    strip.paint(face)
    assert face[:, 120:].min() == 7
    assert face[:, :120].max() == 0
    with pytest.raises(UserError, match="128x8 pixels at row 120, column 0 does not fit a face of 64x64"):
        strip.check(64)


@pytest.mark.parametrize(
    ("face", "frames", "top", "says"),
    [
        ("X", np.zeros((1, 4, 4, 3), np.uint8), 0, "one of F, R"),
        ("FR", np.zeros((1, 4, 4, 3), np.uint8), 0, "one of F, R"),
        ("F", np.zeros((4, 4, 3), np.uint8), 0, "time, height, width, 3"),
        ("F", np.zeros((1, 4, 4, 3), np.float32), 0, "float32"),
        ("F", np.zeros((0, 4, 4, 3), np.uint8), 0, "uint8 frames"),
        ("F", np.zeros((1, 4, 4, 3), np.uint8), -1, "top -1"),
    ],
)
def test_a_wrong_patch_is_refused(face: str, frames: np.ndarray, top: int, says: str) -> None:
    with pytest.raises(UserError, match=says):
        FacePatch(face, frames, top)
