"""Contact sheets show the frames that they say."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unreel.engine.errors import UserError
from unreel.modalities.media.sheet import LABEL, PAD, contact_sheet


def test_cells_hold_the_frames(tmp_path: Path, film: np.ndarray) -> None:
    path = tmp_path / "sheet.png"
    sheet = contact_sheet({"real": film, "dreamt": film[:10]}, path, times=[0, 9], scale=2)
    np.testing.assert_array_equal(np.asarray(Image.open(path)), sheet)
    cell = sheet[2 * LABEL : 2 * LABEL + 128, PAD + 128 + PAD : PAD + 128 + PAD + 128]
    np.testing.assert_array_equal(cell[::2, ::2], film[9])
    assert list(tmp_path.iterdir()) == [path]


def test_columns_are_spread_over_the_shortest_clip(film: np.ndarray) -> None:
    sheet = contact_sheet({"a": film, "b": film[:3]}, columns=8, scale=1)
    assert sheet.shape[1] == PAD + 3 * (64 + PAD)


def test_mistakes_are_named(film: np.ndarray) -> None:
    with pytest.raises(UserError, match="at least one row"):
        contact_sheet({})
    with pytest.raises(UserError, match=r"0\.\.11, got \[0, 12\]"):
        contact_sheet({"a": film}, times=[0, 12])
