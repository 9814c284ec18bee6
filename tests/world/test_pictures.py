"""modalities/world/pictures.py: outputs as colours, cells that stay apart, a plot."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unreel.engine.errors import UserError
from unreel.modalities.world import pictures


def test_classes_have_colours_of_their_own_and_near_is_bright() -> None:
    classes = pictures.as_colours("segmentation", np.array([[0, 1, 2]]), 1.0)
    assert len(np.unique(classes.reshape(-1, 3), axis=0)) == 3
    depth = pictures.as_colours("depth", np.array([[0.0, 5.0, 10.0, 99.0]]), 10.0)[0, :, 0]
    assert depth[0] == 255
    assert depth[0] > depth[1] > depth[2] == depth[3] == 0
    heat = pictures.as_heat(np.array([[0.0, 0.5, 2.0]]), 1.0)[0].sum(-1)
    assert heat[0] == 0
    assert heat[0] < heat[1] < heat[2]


def test_a_grid_plays_the_past_in_every_cell_and_then_each_future_in_its_own() -> None:
    past = np.full((3, 8, 8, 3), 200, np.uint8)
    futures = np.stack([np.full((2, 8, 8, 3), level, np.uint8) for level in (10, 90)])
    film = pictures.grid(past, futures)
    assert len(film) == 5
    scale = round(pictures.CELL / 8)
    middle = pictures.PAD + pictures.LABEL + 4 * scale
    step = pictures.PAD + 8 * scale
    across = [film[:, middle, pictures.PAD + 4 * scale + n * step, 0].tolist() for n in range(2)]
    assert across == [[200] * 5, [200] * 3 + [10] * 2]
    assert film[4, middle + pictures.LABEL + step, pictures.PAD + 4 * scale, 0] == 90
    assert film.shape[1] % 2 == film.shape[2] % 2 == 0


@pytest.mark.parametrize("frames", [1, 12])
def test_the_plot_is_written_whole_or_not_at_all(tmp_path: Path, frames: int) -> None:
    maps = {"rgb": np.random.default_rng(0).random((frames, 6, 9), dtype=np.float32), "depth": np.zeros((frames, 6, 9))}
    pictures.uncertainty_plot(maps, {"rgb": "levels", "depth": "steps"}, tmp_path / "u.png")
    with Image.open(tmp_path / "u.png") as picture:
        assert np.asarray(picture).std() > 5
    assert [path.name for path in tmp_path.iterdir()] == ["u.png"]
    with pytest.raises(UserError):
        pictures.uncertainty_plot(maps, {"rgb": "", "depth": ""}, tmp_path / "nowhere" / "u.png")
