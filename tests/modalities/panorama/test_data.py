"""Folders of panoramas: what is read, what is refused, what is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from unreel.engine.errors import UserError
from unreel.modalities.panorama.data import HELD_OUT, PLACES, load_panoramas, read_panorama, split


def picture(path: Path, width: int = 128, height: int = 64) -> Path:
    level = np.linspace(0, 255, height).astype(np.uint8)
    Image.fromarray(np.broadcast_to(level[:, None, None], (height, width, 3)).copy()).save(path)
    return path


def test_panoramas_are_read_at_one_size(tmp_path: Path):
    picture(tmp_path / "b.png")
    picture(tmp_path / "a.jpg", 1024, 512)
    (tmp_path / "notes.txt").write_text("not a picture")
    found = load_panoramas(tmp_path)
    assert [p.name for p in found] == ["a", "b"]
    assert found[0].place is None
    assert all(p.picture_3HW.shape == (3, 256, 512) for p in found)
    assert found[1].picture_3HW[0, 0, 0] < 5
    assert found[1].picture_3HW[0, -1, 0] > 250


def test_a_picture_of_another_shape_is_refused_by_name(tmp_path: Path):
    path = picture(tmp_path / "photo.png", 120, 80)
    with pytest.raises(UserError, match=r"photo\.png is no panorama: .*got 120x80"):
        read_panorama(path)
    with pytest.raises(UserError, match="photo"):
        load_panoramas(tmp_path)


def test_a_file_that_is_no_picture_is_one_line(tmp_path: Path):
    (tmp_path / "broken.jpg").write_bytes(b"nothing")
    with pytest.raises(UserError, match=r"broken\.jpg is no picture") as told:
        load_panoramas(tmp_path)
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("folder", ["", "missing"])
def test_a_folder_without_panoramas_is_an_error(tmp_path: Path, folder: str):
    with pytest.raises(UserError, match="no panoramas in"):
        load_panoramas(tmp_path / folder)


@pytest.mark.parametrize(("name", "text"), [("places.yaml", "a: garden\n"), ("places.json", '{"a": "garden"}')])
def test_kinds_of_place_come_from_a_file_beside_the_pictures(tmp_path: Path, name: str, text: str):
    picture(tmp_path / "a.png")
    (tmp_path / name).write_text(text)
    assert load_panoramas(tmp_path)[0].place == "garden"


@pytest.mark.parametrize("text", ["- a\n", "a: [1]\n", "a: {\n"])
def test_a_file_of_places_that_is_no_mapping_is_an_error(tmp_path: Path, text: str):
    picture(tmp_path / "a.png")
    (tmp_path / "places.yaml").write_text(text)
    with pytest.raises(UserError, match=r"places\.yaml"):
        load_panoramas(tmp_path)


def test_held_out_pictures_are_not_trained_on(tmp_path: Path):
    for name in ("a", "b", "lebombo"):
        picture(tmp_path / f"{name}.png")
    panoramas = load_panoramas(tmp_path)
    assert [p.name for p in split(panoramas, tmp_path)[1]] == ["lebombo"]
    (tmp_path / "held-out.txt").write_text("a\n")
    train, test = split(panoramas, tmp_path)
    assert [p.name for p in train] == ["b", "lebombo"]
    assert [p.name for p in test] == ["a"]
    (tmp_path / "held-out.txt").write_text("a b lebombo")
    with pytest.raises(UserError, match="all 3 panoramas"):
        split(panoramas, tmp_path)


def test_every_held_out_panorama_has_a_kind_that_is_trained_on():
    kinds = {name: kind for kind, names in PLACES.items() for name in names}
    for name in HELD_OUT:
        assert any(other not in HELD_OUT for other in PLACES[kinds[name]])
