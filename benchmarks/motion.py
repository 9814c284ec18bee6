"""Motions: codec, Frechet distance and labels against held-out clips (--data), joins of chunks, speed, ten minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import unreel
from unreel.benchmarks import _motion_parts as measured
from unreel.benchmarks import _parts, _tables
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.motion.motion.data import Found, load_clips

MODEL = "motion"
TEXTS = ("walk", "run", "idle", "jump")
WITHOUT_DATA = "left out: it needs real clips, as in --data ../shared/data"


@dataclass(frozen=True)
class Given:
    """What the parts are given; ``found`` is None without a folder of clips."""

    model: Model
    found: Found | None
    quick: bool


def _codec(given: Given) -> dict[str, Any]:
    assert given.found is not None
    return measured.codec(given.model, given.found.held_out, given.quick)


def _quality(given: Given) -> dict[str, Any]:
    assert given.found is not None
    return measured.quality(given.model, given.found.train, given.found.held_out, given.quick)


PARTS: dict[str, Callable[[Given], dict[str, Any]]] = {
    "codec": _codec,
    "quality": _quality,
    "joins": lambda given: measured.joins(given.model, TEXTS, given.quick),
    "speed": lambda given: measured.speed(given.model, given.quick),
    "endless": lambda given: measured.endless(given.model, given.quick),
}
REAL = ("codec", "quality")  # these need clips


def run(
    quick: bool = False,
    data: Path | None = None,
    parts: Sequence[str] = (),
    json: Path | None = None,
    model: Model | None = None,
) -> dict[str, Any]:
    """All parts, or some. Each is written to ``json`` as it comes, beside what that file holds of other parts already.

    Raises:
        UserError: a part of no name; a folder without clips, or without held-out ones.
    """
    names = _parts.chosen("motion", parts, PARTS)
    found = load_clips(data, augment=False) if data is not None else None
    if found is not None and not found.held_out:
        raise UserError(f"no clip in {data} is held out: clips of 8 seconds or more give a fifth of theirs")
    given = Given(model or unreel.load(MODEL), found, quick)

    def measure(name: str) -> dict[str, Any]:
        if name in REAL and found is None:
            return {"note": WITHOUT_DATA}
        return {"setting": {**_tables.setting(), "quick": quick}, **PARTS[name](given)}

    about = {"model": {"name": given.model.name, "training": given.model.card.training}}
    return _parts.completed(names, json, bool(parts), measure, lambda results: about)


def _number(value: float | None, form: str) -> str:
    return "none" if value is None else format(value, form)


def _codec_table(found: dict[str, Any]) -> str:
    head = ("codec, held-out clips", "joints, mm", "without codes, mm", "way after 2 s, m", "tokens a second")
    row = [f"{found['clips']} clips", f"{found['mpjpe_mm']:.1f}", f"{found['mpjpe_without_codes_mm']:.1f}"]
    return _tables.markdown(head, [[*row, f"{found['way_after_2s_m']:.3f}", f"{found['tokens_per_s']:g}"]])


def _quality_table(found: dict[str, Any]) -> str:
    head = ("against held-out clips", "Frechet", "Frechet of halves", "labels recovered", "foot skate, m/s")
    labels, skate, halves = found["labels"], found["foot_skate_m_per_s"], found["frechet_of_halves"]
    names = (
        ("ours", "ours", "ours"),
        ("repeated training clip", "training clips", ""),
        ("real", "real held out", "real"),
    )
    rows = []
    for name, label, foot in names:
        distance = f"{found['frechet'][name]:.2f}" if name in found["frechet"] else "-"
        slide = _number(skate[foot], ".3f") if foot else "-"
        rows.append([name, distance, f"{halves[name]:.2f}", f"{_number(labels[label], '.0%')}", slide])
    rows.append(["ours, contacts cleaned", "-", "-", "-", _number(skate["ours, contacts cleaned"], ".3f")])
    note = f"{found['windows']} windows of {found['frames']} frames; {found['space']}, {found['dimensions']} numbers."
    return f"{_tables.markdown(head, rows)}\n\n{note}"


def _joins_table(found: dict[str, Any]) -> str:
    head = ("peak jerk, m/s3", "at joins", "inside", "ratio", "ratio of p95")
    rows = [
        [text, *(f"{one[name]:.0f}" for name in ("joins", "inside")), f"{one['ratio']:.2f}", f"{one['ratio_p95']:.2f}"]
        for text, one in zip(found["texts"], found["steady"], strict=True)
    ]
    change = found["peak_at_new_words_over_peak_of_the_second_after"]
    return f"{_tables.markdown(head, rows)}\n\nWhere the words change: {change:.2f} times the peak of the second after."


def _speed_table(found: dict[str, Any]) -> str:
    first, factor = found["first_pose_s"], found["real_time_factor"]
    head = ("", "median", "min", "max")
    rows = [
        ["first pose, ms", *(f"{1e3 * first[name]:.0f}" for name in head[1:])],
        *(
            [f"seconds of motion a second, {shown}", *(f"{spread[name]:.1f}" for name in head[1:])]
            for shown, spread in factor.items()
        ),
    ]
    return f"{_tables.markdown(head, rows)}\n\nThe rig has {found['rig_joints']} joints."


def _endless_table(found: dict[str, Any]) -> str:
    height, low, chunk, held = (found[name] for name in ("height_m", "lowest_joint_m", "chunk_s", "context_bytes"))
    head = (f"{found['minutes']:.1f} minutes of walking", "early", "late")
    rows = [
        ["root height, m", f"{height['first']:.3f}", f"{height['last']:.3f}"],
        ["lowest joint, m", f"{low['first']:.3f}", f"{low['last']:.3f}"],
        ["chunk, ms", f"{1e3 * chunk['early']:.1f}", f"{1e3 * chunk['late']:.1f}"],
        ["context, MB", _tables.megabytes(held["early"]), _tables.megabytes(held["late"])],
    ]
    note = (
        f"Longest freeze {found['longest_freeze_s']:.2f} s, way {found['way_m']:.0f} m; no minute's root height is "
        f"more than {height['largest']:.3f} m from the first's."
    )
    return f"{_tables.markdown(head, rows)}\n\n{note}"


SECTIONS = {
    "codec": _codec_table, "quality": _quality_table, "joins": _joins_table, "speed": _speed_table,
    "endless": _endless_table,
}  # fmt: skip


def table(results: dict[str, Any]) -> str:
    """Markdown of all parts that were measured."""
    shown = []
    for name, section in SECTIONS.items():
        if name in results and "note" in results[name]:
            shown.append(f"{name}: {results[name]['note']}")
        elif name in results:
            shown.append(f"{section(results[name])}\n\n{_tables.caption(results[name]['setting'])}")
    return "\n\n".join(shown)
