"""`unreel bench panorama`: its measures say what they should, and every part runs on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.panorama import tiny_panorama
from unreel.benchmarks import _features, panorama
from unreel.benchmarks import _panorama as p
from unreel.benchmarks._panorama_4k import window
from unreel.benchmarks._panorama_baselines import mirrored, nearest
from unreel.benchmarks._panorama_motion import motion, paths
from unreel.benchmarks._panorama_quality import PHOTOS, crops, outward
from unreel.commands.bench import bench
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.panorama.cubemap import FACES, erp_from_faces

SIZE = 32


@pytest.fixture(scope="module")
def model() -> Model:
    return tiny_panorama()


@pytest.fixture(scope="module")
def faces() -> torch.Tensor:
    return p.truth(p.drawn(0), SIZE)


def test_what_goes_on_over_edges_has_no_seams_and_a_shifted_face_has(faces: torch.Tensor) -> None:
    assert p.step_ratio(faces) < 1.1
    broken = faces.clone()
    broken[:, FACES.index("U")] += 60
    assert p.step_ratio(broken) > 1.5
    elsewhere = torch.ones(1, 6, SIZE, SIZE, dtype=torch.bool)
    elsewhere[:, FACES.index("U")] = False
    assert p.step_ratio(broken, elsewhere) == pytest.approx(p.step_ratio(faces, elsewhere))


def test_cells_that_show_are_counted(faces: torch.Tensor) -> None:
    where = torch.ones(1, 6, SIZE, SIZE, dtype=torch.bool)
    assert p.cell_ratio(faces, where, 4) == pytest.approx(1, abs=0.05)
    blocky = faces.unfold(-1, 4, 4).mean(-1).repeat_interleave(4, -1) * 0.2 + faces * 0.8
    assert p.cell_ratio(blocky, where, 4) > 1.1


def test_a_turned_face_is_below_the_gate_and_a_right_one_is_not(faces: torch.Tensor) -> None:
    wrong = faces.clone()
    wrong[:, FACES.index("R")] = wrong[:, FACES.index("R")].rot90(1, (-2, -1))
    where = torch.ones(1, 6, SIZE, SIZE, dtype=torch.bool)
    by_face = p.psnr_where(wrong, faces, where, (2, 3))[0]
    assert by_face[FACES.index("R")] < 15
    assert by_face[FACES.index("F")] == 60


def test_measures_look_only_where_they_are_told(faces: torch.Tensor) -> None:
    where = torch.zeros(1, 6, SIZE, SIZE, dtype=torch.bool)
    where[:, 0] = True
    other = faces.clone()
    other[:, 1:] = 0
    assert p.ssim_where(other, faces, where) == pytest.approx(1.0)
    assert p.psnr_where(other, faces, where).item() == 60
    assert p.energy(other, where) == pytest.approx(p.energy(faces, where))
    assert p.energy(other) < p.energy(faces)


@pytest.mark.parametrize("camera", PHOTOS)
def test_crops_show_nothing_of_the_view(camera: tuple[float, ...]) -> None:
    row = p.cameras([camera])
    _, seen = p.projected({"frames": torch.zeros(1, *p.SHAPE, 3, dtype=torch.uint8), "cameras": row}, 128)
    ways = outward(row[0])
    assert len(ways) > 12
    assert crops(255 * (seen > 0.5)[:, :, None].float().expand(-1, -1, 3, -1, -1), ways).max() == 0


@pytest.mark.parametrize("camera", PHOTOS)
def test_a_mirrored_view_fills_the_sphere_and_goes_on_at_the_back(camera: tuple[float, ...]) -> None:
    sight = p.drawn(4)
    view, real = p.view(sight, p.cameras([camera])), p.truth(sight, 64)
    made = mirrored(view, 64)
    inside = p.projected(view, 64)[1] >= p.COVERED
    assert p.psnr_where(made, real, inside).item() > 30
    erp = erp_from_faces(made, 128)[0].roll(round(-camera[2] / 360 * 256) + 128, -1)  # the back is in the middle
    steps = erp[:, 32:96].diff(dim=-1).abs().mean((0, 1))
    assert steps[126:129].mean() < 2 * steps.mean()


def test_a_mirrored_view_is_of_a_level_camera() -> None:
    with pytest.raises(ValueError, match="rolls"):
        mirrored(p.view(p.drawn(1), p.cameras([(20.0, 0.0, 0.0, 90.0)])), 16)


def test_the_nearest_panorama_is_found_and_turned() -> None:
    stock = [p.drawn(seed) for seed in (1, 2, 3)]
    turned = p.Sight("turned", stock[1].picture_3HW.roll(160, -1))
    found, name = nearest(p.view(turned, p.cameras([PHOTOS[1]])), stock, SIZE)
    real = p.truth(turned, SIZE)
    assert name == "drawn-2"
    assert p.psnr_where(found, real, torch.ones(1, 6, SIZE, SIZE)).item() > 30


def test_motions_go_where_they_should_and_none_makes_a_wrong_face(model: Model) -> None:
    found = paths(48)
    assert {len(path) for path in found.values()} == {48}
    assert found["fov 30 to 110"][:, 3].max() == pytest.approx(110, abs=0.5)
    row = motion(model, p.drawn(2), found["over both poles"][::6])
    assert len(row["psnr_by_frame_db"]) == 8
    assert row["psnr_db"]["min"] >= row["face_psnr_db"]["min"] > 0


def test_parts_are_saved_as_they_come_and_what_was_there_stays(model: Model, tmp_path: Path) -> None:
    out = tmp_path / "panorama.json"
    panorama.run(quick=True, parts=["seams"], json=out, model=model)
    results = panorama.run(quick=True, parts=["flicker", "quality"], json=out, model=model)
    assert json.loads(out.read_text()) == results
    assert set(results) == {"model", "seams", "flicker", "quality"}
    text = panorama.table(results)
    assert "without padding" in text
    assert "--data" in text  # says why there is no quality
    with pytest.raises(UserError, match="no part walls"):
        panorama.run(parts=["walls"], model=model)


def test_other_benchmarks_take_no_folder(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="overhead takes no --data"):
        bench("overhead", data=tmp_path)


def test_quality_of_a_folder_of_panoramas(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for seed in range(3):
        picture = p.drawn(seed).picture_3HW.movedim(0, -1).numpy()
        Image.fromarray(picture).save(tmp_path / f"{seed}.png")
    (tmp_path / "held-out.txt").write_text("2\n")
    monkeypatch.setattr(_features, "features", lambda pictures: pictures.mean((1, 2)).astype(np.float64))
    found: dict[str, Any] = panorama.run(quick=True, data=tmp_path, parts=["quality"], model=model)
    assert found["quality"]["sights"] == ["2"]
    assert found["quality"]["photos"][0]["sharpness"]["truth"] == 1
    assert "nearest training panorama" in panorama.table(found)
    (tmp_path / "held-out.txt").write_text("nothing\n")
    with pytest.raises(UserError, match="held out"):
        panorama.run(data=tmp_path, parts=["quality"], model=model)


def test_speed_and_endless_fill_their_tables(model: Model, tmp_path: Path) -> None:
    results = panorama.run(quick=True, parts=["speed", "endless"], model=model)
    assert results["speed"]["cache"]["most_levels_apart"] <= 1
    assert results["speed"]["pairs"]["as shipped"] < results["speed"]["pairs"]["attention to everything"]
    assert "computed again" in panorama.table(results)
    drawn = panorama.plots(results, tmp_path)
    assert all(path.exists() for path in drawn)


def test_larger_faces_run_through_the_same_path(model: Model) -> None:
    found = window(model.card, 48, 8, "float32")
    assert found["faces"][0]["face"] == "F"
    assert found["tokens_per_face"] == 64
    assert found["peak_bytes"] < 2**30


@pytest.mark.parametrize("yielding", [False, True])
def test_canvases_blended_anew_are_what_was_sent(yielding: bool) -> None:
    model = tiny_panorama(codec={"class": "faces", "size": 16, "pad": 4, "fold": 2, "yielding": yielding})
    made = p.shoot(model, p.view(p.drawn(1), p.cameras([PHOTOS[1]])), 4)
    assert torch.equal(made.faces, made.cut(4, blended=True, yielding=yielding))
    assert not torch.equal(made.faces, made.cut(4, blended=True, yielding=not yielding))
