"""`unreel bench rig`: distances, baselines, the whole of it on a tiny model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.rigs import box_part, rigged_creature, tiny_rig
from unreel.benchmarks import rig
from unreel.benchmarks._rig_baselines import bone_weights, copied_weights, nearest_rig
from unreel.benchmarks._rig_medial import CELLS, depths, filled, medial_skeleton
from unreel.benchmarks._rig_metrics import (
    bone_to_bone,
    compare,
    joint_to_bone,
    joint_to_joint,
    matching,
    paired,
    skin_l1,
)
from unreel.benchmarks._rig_pictures import Result, chosen
from unreel.benchmarks._rig_sights import kind_of, make_sight, mean_by_group
from unreel.engine.errors import UserError
from unreel.modalities.skeleton.glb import write_glb
from unreel.modalities.skeleton.surface import sample_surface

LINE = (np.asarray([[0.0, 0, 0], [1, 0, 0]]), np.asarray([-1, 0]))
BESIDE = (np.asarray([[0.0, 0.1, 0], [0.5, 0.1, 0], [1, 0.1, 0]]), np.asarray([0, 0, 1]))


def test_a_skeleton_is_no_distance_from_itself() -> None:
    found = compare(LINE, LINE)
    assert found["cd_j2j"] == found["cd_j2b"] == 0
    assert found["cd_b2b"] == pytest.approx(0, abs=1e-9)
    assert found["iou"] == found["precision"] == found["recall"] == 1


def test_distances_are_what_one_would_measure() -> None:
    assert joint_to_joint(BESIDE[0], LINE[0]) == pytest.approx(((0.1 + 0.26**0.5 + 0.1) / 3 + 0.1) / 2)
    assert joint_to_bone(BESIDE, LINE) == pytest.approx(0.1)
    assert bone_to_bone(BESIDE, LINE) == pytest.approx(0.1)
    lone = (np.zeros((1, 3)), np.asarray([-1]))
    assert bone_to_bone(lone, lone) == 0


def test_joints_are_paired_one_to_one() -> None:
    assert paired(np.asarray([[1, 1, 0], [1, 0, 0], [0, 1, 0]], bool)) == 2
    assert paired(np.asarray([[1, 1, 0], [1, 0, 0], [0, 1, 1]], bool)) == 3
    found = matching(BESIDE[0], LINE[0], close=0.11)
    assert found == {"iou": 2 * 2 / 5, "precision": 2 / 3, "recall": 1.0}
    assert matching(BESIDE[0], LINE[0], close=0.05)["iou"] == 0


def test_skins_that_share_nothing_are_two_apart() -> None:
    a, b = np.asarray([[1.0, 0], [0.5, 0.5]]), np.asarray([[0.0, 1], [0.5, 0.5]])
    assert skin_l1(a, b) == pytest.approx(1.0)
    assert skin_l1(a, a) == 0


def test_a_solid_is_filled_and_its_middle_is_deep() -> None:
    part = box_part((0, 0, 0), (1, 0.3, 0.3))
    solid = filled(sample_surface(part.positions, part.faces, 40_000, 0).points)
    assert solid.sum() == pytest.approx(CELLS**3 * 0.09, rel=0.25)
    depth = depths(solid)
    assert depth[CELLS // 2, CELLS // 2, CELLS // 2] > 4


def test_the_middle_line_of_a_beam_runs_along_it() -> None:
    part = box_part((0, 0, 0), (1, 0.12, 0.12))
    joints, parents = medial_skeleton(sample_surface(part.positions, part.faces, 40_000, 0).points)
    assert (parents[1:] < np.arange(1, len(parents))).all()
    assert np.abs(joints[:, 1:]).max() < 0.08
    assert np.ptp(joints[:, 0]) > 0.8
    assert 6 <= len(joints) <= 14


def test_middle_lines_reach_every_leg() -> None:
    sight = make_sight(rigged_creature(), "creature")
    dense = sample_surface(sight.mesh.positions, sight.mesh.faces, 40_000, 0)
    joints, _ = medial_skeleton(sight.box.to_unit(dense.points))
    low = joints[joints[:, 1] < -0.2]
    assert {(x > 0, z > 0) for x, _, z in low} == {(a, b) for a in (True, False) for b in (True, False)}


def test_the_nearest_rig_is_the_one_alike_and_its_skin_follows() -> None:
    sight = make_sight(rigged_creature(), "a")
    other = make_sight(rigged_creature(1.1), "b")
    copied = nearest_rig(sight, [other, make_sight(rigged_creature(3.0), "c")])
    assert copied.name == "b"
    assert joint_to_joint(copied.bones[0], sight.bones[0]) < 0.05
    assert skin_l1(copied_weights(sight, copied), sight.weights) < 0.2
    by_bones = bone_weights(sight)
    assert np.allclose(by_bones.sum(1), 1)
    assert skin_l1(by_bones, sight.weights) < 1.2


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("quaternius-BlueTang", "fish"),
        ("mesh2motion-human-zombie", "person"),
        ("quaternius-ShibaInu", "animal"),
        ("mesh2motion-bird-eagle", "insect or bird"),
        ("quaternius-Tank2", "machine or monster"),
        ("quaternius-ArmoredCatfish", "fish"),
        ("being", "other"),
        ("quaternius-Character_HumanoidRig", "person"),
        ("quaternius-Fish2", "fish"),
    ],
)
def test_names_tell_kinds(name: str, kind: str) -> None:
    assert kind_of(name) == kind


def test_everything_is_measured_and_shown(tmp_path: Path) -> None:
    for number in range(9):
        write_glb(rigged_creature(0.5 + 0.15 * number), tmp_path / f"being{chr(97 + number) * 3}.glb")
    results = rig.run(quick=True, data=tmp_path, json=tmp_path / "n.json", model=tiny_rig(), pictures=tmp_path / "p")
    with Image.open(tmp_path / "p" / "rig-results.png") as sheet:
        assert sheet.width > 1500
    assert json.loads((tmp_path / "n.json").read_text())["means"] == results["means"]
    row = results["rows"][0]
    assert row["true_joints"] == 10
    assert 0 < row["ours"]["cd_j2j"] < 2
    assert row["nearest"]["cd_j2j"] < row["ours"]["cd_j2j"]  # the tiny model is random
    text = rig.table(results)
    assert "| ours |" in text
    assert "other (" in text
    assert f"{results['rows'][0]['faces']:,} faces (being" in text
    with pytest.raises(UserError, match="--data"):
        rig.run()


def test_pictures_are_of_the_best_the_worst_and_what_lies_between() -> None:
    sight, made = make_sight(rigged_creature(), "a"), rigged_creature()
    results = [Result(sight, made, distance) for distance in (0.5, 0.1, 0.3, 0.2, 0.4)]
    assert [result.distance for result in chosen(results, 3)] == [0.1, 0.3, 0.5]
    assert len(chosen(results[:2], 3)) == 2


def test_a_character_counts_once() -> None:
    rows = [{"x": 1.0}, {"x": 3.0}, {"x": 8.0}]
    assert mean_by_group(rows, ["a", "a", "b"]) == {"x": 5.0}
    assert mean_by_group([], []) == {}
