"""Forecasts on held-out play: quality and calibration of many futures, what sharing saves, how well keys are obeyed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import unreel
from unreel.benchmarks import _parts, _tables
from unreel.benchmarks._forecast_clips import Given, load_clips
from unreel.benchmarks._forecast_parts import calibration, control, quality
from unreel.benchmarks._forecast_sharing import ALONE, VARIANTS, sharing
from unreel.engine.model import Model

WINDOWS, SAMPLES = 96, 8
PARTS: dict[str, Callable[[Given], dict[str, Any]]] = {
    "quality": quality, "calibration": calibration, "sharing": sharing, "control": control,
}  # fmt: skip
METRICS = {"psnr": "PSNR, dB", "miou": "mIoU", "d1": "d1", "absrel": "AbsRel"}


def run(
    quick: bool = False,
    data: Path | None = None,
    parts: Sequence[str] = (),
    json: Path | None = None,
    model: Model | None = None,
) -> dict[str, Any]:
    """All parts, or some. Each is written to ``json`` as it comes, beside what that file holds of other parts already.

    ``model`` is `doom` where it is shipped, and `dream` otherwise; ``data`` the folder of played episodes.

    Raises:
        UserError: a part of no name; no held-out episodes.
    """
    names = _parts.chosen("forecast", parts, PARTS)
    model = model or unreel.load("doom" if "doom" in unreel.models() else "dream")
    given = Given(model, load_clips(model, data, 3 if quick else WINDOWS), 3 if quick else SAMPLES, quick)
    about = {"name": model.name, "steps": model.card.schedule.steps, "training": model.card.training}
    return _parts.completed(
        names, json, bool(parts),
        lambda name: {"setting": {**_tables.setting(), "quick": quick}, **PARTS[name](given)},
        lambda results: {"model": about, "gates": gates(results)},
    )  # fmt: skip


def gates(results: dict[str, Any]) -> dict[str, bool]:
    """What a forecast must show, of the parts that were measured."""
    found: dict[str, bool] = {}
    seen = results.get("quality", {})
    if "regression" in seen.get("sharpness", {}):
        sharp = seen["sharpness"]
        found["sharper than regression at every horizon"] = all(
            a > b for a, b in zip(sharp["forecast"], sharp["regression"], strict=True)
        )
        far = [n for n, horizon in enumerate(seen["horizons"]) if horizon >= 8]
        for metric in ("miou", "d1"):
            if metric in seen:
                ours, theirs = seen[metric]["forecast"]["best"], seen[metric]["regression"]["mean"]
                found[f"best of {seen['samples']} above regression in {METRICS[metric]} from 8 frames on"] = all(
                    ours[n] > theirs[n] for n in far
                )
    for name, one in results.get("calibration", {}).items():
        if name != "setting":
            found[f"error of {name} rises with its uncertainty"] = one["monotone"]
    if "sharing" in results:
        one = results["sharing"]["batch of 16, past kept"]
        found["16 futures in a batch, past kept, at least 2 times as fast as alone"] = one["faster_wall"]["median"] >= 2
        found["their contexts at most 25 % of those of runs alone"] = one["bytes_over_alone"] <= 0.25
    if "control" in results:
        errors = results["control"]["position_error"]
        found["the player nearer to where it went than where it was"] = all(
            a < b for a, b in zip(errors["forecast"], errors["copy last"], strict=True)
        )
    return found


def _quality_table(found: dict[str, Any]) -> str:
    tables = []
    head = [*(f"+{horizon}" for horizon in found["horizons"])]
    for metric, title in METRICS.items():
        if metric in found:
            form = ".1f" if metric == "psnr" else ".3f"
            body = []
            for row, values in found[metric].items():
                body += [
                    [
                        row if kind == "mean" else f"{row}, best of {found['samples']}",
                        *(format(v, form) for v in values[kind]),
                    ]
                    for kind in ("mean", "best")
                    if kind in values
                ]
            tables.append(_tables.markdown((title, *head), body))
    body = [[row, *(f"{value:.2f}" for value in values)] for row, values in found["sharpness"].items()]
    tables.append(_tables.markdown(("gradient energy over real", *head), body))
    return "\n\n".join([*tables, f"{found['windows']} windows, {found['samples']} futures each; of that frame alone."])


def _calibration_table(found: dict[str, Any]) -> str:
    head = ("error by bins of rising uncertainty", "lowest", "middle", "highest", "Spearman", "monotone")
    body = [
        [name, *(f"{one['error'][n]:.3g}" for n in (0, len(one["error"]) // 2, -1)), f"{one['spearman']:.2f}",
         "yes" if one["monotone"] else f"no: a fall of {one['fall']:.2g} (standard error {one['fall_error']:.2g})"]
        for name, one in found.items() if name != "setting"
    ]  # fmt: skip
    return _tables.markdown(head, body)


def _sharing_table(found: dict[str, Any]) -> str:
    title = f"{found['futures']} futures of {found['frames']} frames"
    head = (
        title,
        "CPU, s",
        "wall, s",
        "faster, CPU",
        "faster, wall",
        "context, MB",
        "over alone",
        "difference, RMS (max)",
    )
    body = []
    for name in ALONE.values():
        one = found[name]
        body.append([name, f"{one['cpu_s']:.1f}", f"{one['wall_s']:.1f}", "", "",
                     _tables.megabytes(one["context_bytes"]), "", ""])  # fmt: skip
    for name in VARIANTS:
        one = found[name]
        body.append([
            name, f"{one['cpu_s']:.1f}", f"{one['wall_s']:.1f}", _tables.ratio(one["faster_cpu"]),
            _tables.ratio(one["faster_wall"]), _tables.megabytes(one["context_bytes"]),
            f"{one['bytes_over_alone']:.0%}", f"{one['rms_difference']:.1g} ({one['largest_difference']:.1g})",
        ])  # fmt: skip
    observed, near = found["observed"], found["past kept"]
    horizons, window, kept = (" / ".join(map(str, near[key])) for key in ("horizons", "window", "kept"))
    note = (
        f"Every batch against the runs alone of the same futures. The context of the past takes "
        f"{_tables.megabytes(observed['context_bytes'])} MB once; with what the futures add, a batch of 16 takes "
        f"{observed['bytes_over_alone_by_chunk'][0]:.0%} of runs alone after the first chunk and "
        f"{observed['bytes_over_alone_by_chunk'][-1]:.0%} after the last, unless the past is kept. PSNR at frames "
        f"{horizons}, {near['windows']} windows: {window} dB, with the past kept {kept} dB."
    )
    return f"{_tables.markdown(head, body)}\n\n{note}"


def _control_table(found: dict[str, Any]) -> str:
    head = (f"player's position error, {found['unit']}", *(f"+{frames}" for frames in found["frames"]))
    body = [[row, *("none" if v is None else f"{v:.1f}" for v in values)] for row, values in
            found["position_error"].items()]  # fmt: skip
    return f"{_tables.markdown(head, body)}\n\nRead by {found['reader']}."


SECTIONS = {
    "quality": _quality_table, "calibration": _calibration_table, "sharing": _sharing_table, "control": _control_table,
}  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Markdown of all parts that were measured, and what holds."""
    shown = [f"Model `{results['model']['name']}`."]
    for name, section in SECTIONS.items():
        if name in results:
            shown.append(f"{section(results[name])}\n\n{_tables.caption(results[name]['setting'])}")
    shown.append("\n".join(f"- {'met' if met else 'MISSED'}: {gate}" for gate, met in results["gates"].items()))
    return "\n\n".join(shown)
