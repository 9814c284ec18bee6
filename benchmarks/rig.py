"""Rigs: skeletons and skins of held-out characters (--data) beside a copied rig and middle lines, seconds per mesh."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import mean, median
from typing import Any

import numpy as np

import unreel
from unreel.benchmarks import _clock, _rig_baselines, _tables
from unreel.benchmarks._rig_metrics import Bones, compare, skin_l1
from unreel.benchmarks._rig_pictures import Result, sheet
from unreel.benchmarks._rig_sights import Sight, mean_by_group, mean_of, sights
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.rig.assemble import assemble, weigh
from unreel.modalities.rig.joint import Joint
from unreel.modalities.rig.subject import subject_of
from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.rig import Rig
from unreel.report import write_json

MODEL = "rig"
SEEDS = (0, 1, 2)
FACES = 10_000  # of the mesh whose seconds are told by themselves, or as near as there is one
NAMES = {"ours": "ours", "nearest": "nearest training rig, fitted", "medial": "middle lines; nearest bones"}
COLUMNS = {
    "cd_j2j": "CD-J2J",
    "cd_j2b": "CD-J2B",
    "cd_b2b": "CD-B2B",
    "iou": "IoU",
    "precision": "precision",
    "recall": "recall",
    "skin_l1": "skin L1",
    "joints": "joints",
}
PERCENT = ("iou", "precision", "recall")
SMALL = ("cd_j2j", "cd_j2b", "cd_b2b")


def run(
    quick: bool = False,
    data: Path | None = None,
    json: Path | None = None,
    model: Model | None = None,
    pictures: Path | None = None,
) -> dict[str, Any]:
    """Every held-out character with three seeds (one with ``quick``), and the two baselines.

    ``pictures`` is a folder for ``rig-results.png``: ten results from the best to the worst.

    Raises:
        UserError: no data, or none of it held out.
    """
    if data is None:
        raise UserError("rig needs a folder of rigged characters: give --data FOLDER")
    train, held_out = sights(data)
    if not train or not held_out:
        raise UserError(
            f"{data} gives {len(train)} characters to copy from and {len(held_out)} held out: both are needed"
        )
    model = model or unreel.load(MODEL)
    rows, results_of = [], []
    made(model, held_out[0], SEEDS[0])  # warms up
    for sight in held_out:
        row, rig = measured(model, sight, train, SEEDS[:1] if quick else SEEDS)
        rows.append(row)
        results_of.append(Result(sight, rig, row["first"]))
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        sheet(results_of, pictures / "rig-results.png")
    usual = min(rows, key=lambda row: abs(row["faces"] - FACES))
    results = {
        "setting": {**_tables.setting(), "quick": quick},
        "model": {"name": model.name, "training": {n: model.card.training.get(n) for n in ("steps", "minutes")}},
        "characters": {
            "train": len({sight.group for sight in train}),
            "held_out": len({sight.group for sight in held_out}),
            "files": len(held_out),
        },
        "rows": rows,
        "means": means(rows),
        "kinds": {
            kind: means([row for row in rows if row["kind"] == kind]) for kind in sorted({row["kind"] for row in rows})
        },
        "seconds": {"median": median(row["seconds"] for row in rows), "max": max(row["seconds"] for row in rows)},
        "usual": {n: usual[n] for n in ("name", "faces", "seconds")},
    }
    if json is not None:
        write_json(json, results)
    return results


def means(rows: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """Means over characters, by contestant: several files of one body count as one."""
    groups = [row["character"] for row in rows]
    return {name: mean_by_group([row[name] for row in rows], groups) for name in NAMES}


def measured(model: Model, sight: Sight, train: list[Sight], seeds: tuple[int, ...]) -> tuple[dict[str, Any], Rig]:
    """All numbers of one character, and the rig of the first seed, whose CD-J2J is ``first``; ``spread`` is what seeds
    change of that."""
    subject = subject_of(sight.mesh)
    attempts = [made(model, sight, seed) for seed in seeds]
    skeletons = [compare(bones_of(rig, sight), sight.bones) for rig, _ in attempts]
    weights = weigh(model, subject, np.concatenate([sight.points, sight.normals], 1).astype(np.float32), *sight.bones)
    copied = _rig_baselines.nearest_rig(sight, train)
    row = {
        "name": sight.name,
        "character": sight.group,
        "kind": sight.kind,
        "true_joints": len(sight.bones[0]),
        "faces": len(sight.mesh.faces),
        "seconds": mean(seconds for _, seconds in attempts),
        "ours": {**mean_of(skeletons), "skin_l1": skin_l1(weights, sight.weights)},
        "first": skeletons[0]["cd_j2j"],
        "spread": float(np.ptp([found["cd_j2j"] for found in skeletons])),
        "nearest": {
            **compare(copied.bones, sight.bones),
            "skin_l1": skin_l1(_rig_baselines.copied_weights(sight, copied), sight.weights),
        },
        "nearest_is": copied.name,
        "medial": {
            **compare(_rig_baselines.medial(sight.mesh, sight), sight.bones),
            "skin_l1": skin_l1(_rig_baselines.bone_weights(sight), sight.weights),
        },
    }
    return row, attempts[0][0]


def made(model: Model, sight: Sight, seed: int) -> tuple[Rig, float]:
    """The rig that the model makes, and the seconds from mesh to GLB."""
    with _clock.measuring():
        began = time.perf_counter()
        subject = subject_of(sight.mesh)
        session = model.session(seed=seed, rewind=0)
        session.send("mesh", subject)
        joints: list[Joint] = [event.payload for event in session.stream()]
        rig = assemble(model, sight.mesh, joints, subject)
        glb_bytes(rig)
        return rig, time.perf_counter() - began


def bones_of(rig: Rig, sight: Sight) -> Bones:
    """A rig's skeleton in the unit box."""
    return sight.box.to_unit(rig.skeleton.positions), rig.skeleton.parents


def table(results: dict[str, Any]) -> str:
    """Markdown: the means, then kind by kind."""
    count, seconds, usual = results["characters"], results["seconds"], results["usual"]
    trained = results["model"]["training"]
    parts = [
        f"{count['held_out']} held-out characters ({count['files']} files), {count['train']} to learn and copy from; "
        f"{trained.get('steps')} steps in {trained.get('minutes')} minutes. {_tables.caption(results['setting'])}",
        _tables.markdown(["all", *COLUMNS.values()], [_row(NAMES[n], results["means"][n]) for n in NAMES]),
        f"From mesh to GLB: {seconds['median']:.1f} s (median), {seconds['max']:.1f} s at most; "
        f"{usual['faces']:,} faces ({usual['name']}) {usual['seconds']:.1f} s.",
    ]
    for kind, found in results["kinds"].items():
        count = len({row["character"] for row in results["rows"] if row["kind"] == kind})
        parts.append(
            _tables.markdown([f"{kind} ({count})", *COLUMNS.values()], [_row(NAMES[n], found[n]) for n in NAMES])
        )
    return "\n\n".join(parts)


def _row(label: str, found: dict[str, float]) -> list[str]:
    """Distances in hundredths of the longest side, shares in percent."""

    def shown(name: str) -> str:
        if name in SMALL:
            return f"{100 * found[name]:.2f}"
        return f"{100 * found[name]:.0f} %" if name in PERCENT else f"{found[name]:.{1 if name == 'joints' else 2}f}"

    return [label, *map(shown, COLUMNS)]
