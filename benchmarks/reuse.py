"""Reuse of chunk predictions on `dream`: 32 steps, pipelined; every lever alone and together, against plain."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import unreel
from unreel.benchmarks import _calibrate, _plots, _tables
from unreel.benchmarks._films import Job, rows, shoot
from unreel.engine.model import Model

MODEL = "dream"
PIPELINED: dict[str, Any] = {"steps": 32, "offset": 8}
PRESETS = ("balanced", "fast")
WINDOWS = (0, 16, 32, 48, 64)  # calibration uses the other half of the footage
CHUNKS = 12
CALIBRATION = (85, 115, 145)
THRESHOLDS = (0.2, 0.25, 0.3, 0.4)
FAMILIES: tuple[dict[str, Any], ...] = (
    {"class": "flowcache", "replay_as": "clean", "align": 4},
    {"class": "flowcache", "replay_as": "linear", "reach": 0.5, "align": 1},
    {"class": "flowcache", "replay_as": "linear", "reach": 0.5, "align": 2},
    {"class": "flowcache", "replay_as": "linear", "reach": 0.5, "align": 4},
    {"class": "timestep", "replay_as": "linear", "reach": 0.5},
)
TABLES: tuple[dict[str, Any], ...] = tuple(
    {"class": "timestep", "levels": levels, "replay_as": "clean"}
    for levels in ([8, 16, 24], [4, 8, 16, 24], [4, 8, 12, 16, 24], [4, 8, 12, 16, 20, 24, 28])
)
MOST_DRIFT = 0.03
# What a preset's reuse must reach: times faster, dB against plain, share of error added. A margin to what is promised.
WANTED = {"balanced": (2.6, 31.5, MOST_DRIFT), "fast": (3.9, 26.0, MOST_DRIFT)}
LOSS = 0.3  # dB that a smaller window may cost a preset


def calibrate(quick: bool = False) -> str:
    """Find the presets of `dream` on footage that `run` does not use, and write them into its card."""
    model = unreel.load(MODEL)
    job = Job(CALIBRATION[:1], chunks=8) if quick else Job(CALIBRATION, chunks=12)
    candidates = [*TABLES, *({**family, "threshold": t} for family in FAMILIES for t in THRESHOLDS)]
    found = _calibrate.search(model, PIPELINED, job, candidates)
    report = _calibrate.describe(found)
    presets: dict[str, dict[str, Any]] = {"exact": {**PIPELINED, "reuse": {"class": "none"}}}
    for name, wanted in WANTED.items():
        best = _calibrate.choose(found, *wanted)
        if best is None:
            return f"{report}\nnothing reaches what {name} asks for {wanted}: the card stays as it was"
        presets[name] = {**best["options"], "commit": "with-next"}
        report += f"\n{name}: {best['name']}"
    report += f"\n{_smaller_window(model, presets, job)}"
    return f"{report}\nwritten to {_calibrate.write_presets(MODEL, presets)}"


def _smaller_window(model: Model, presets: dict[str, dict[str, Any]], job: Job) -> str:
    """Halve the window of `fast` where that hardly shows."""
    half = {"recent": max(1, int(model.card.context.get("recent", 2)) // 2)}
    narrow = {**presets["fast"], "context": half}
    films, real = shoot(model, {"plain": PIPELINED, "fast": presets["fast"], "narrow": narrow}, job)
    _, wide, small = rows(films, real, "plain", job)
    if small["psnr_db"] < wide["psnr_db"] - LOSS or small["drift_late"] > MOST_DRIFT:
        return f"fast keeps its window: half of it costs {wide['psnr_db'] - small['psnr_db']:.2f} dB"
    presets["fast"] = narrow
    return f"fast with half the window: {wide['psnr_db'] - small['psnr_db']:+.2f} dB lost"


def run(quick: bool = False) -> dict[str, Any]:
    """Measure all rows. What "fewer steps" must match is measured first, on one window."""
    model = unreel.load(MODEL)
    job = Job(WINDOWS[:2], chunks=8) if quick else Job(WINDOWS, chunks=CHUNKS)
    warm = Job(WINDOWS[:1], chunks=4)
    settings = levers(model)
    shoot(model, {"plain": PIPELINED}, warm)
    settings.update(fewer_steps(model, settings, Job(WINDOWS[:2], chunks=job.chunks)))
    films, real = shoot(model, settings, job)
    return {
        "setting": _tables.setting(),
        "workload": {"model": MODEL, **PIPELINED, "windows": len(job.windows), "chunks": job.chunks},
        "trunk_share": trunk_share(model),
        "rows": rows(films, real, "plain", job),
    }


def levers(model: Model) -> dict[str, dict[str, Any]]:
    """Settings by name: published baselines, each lever alone, the presets as they ship, all levers together."""
    presets = {name: model.card.presets[name] for name in PRESETS}
    tuned = {**presets["balanced"]["reuse"]}
    static = [list(heads) for heads in model.heads] or [[] for _ in range(model.backbone.layers)]
    hybrid = {"class": "hybrid", "static": static, **SMALL}
    return {
        "plain": PIPELINED,
        "teacache 0.2": reuse("teacache", threshold=0.2),
        "teacache 0.4": reuse("teacache", threshold=0.4),
        "flowcache as published": reuse("flowcache", replay_as="clean", warmup=5, threshold=0.25),
        "timestep": reuse("timestep", threshold=0.25, reach=0.5),
        "reuse of balanced, replay clean": {**PIPELINED, "reuse": {**tuned, "replay_as": "clean"}},
        "reuse of balanced, replay linear": {**PIPELINED, "reuse": {**tuned, "replay_as": "linear"}},
        "reuse of balanced, replay quadratic": {**PIPELINED, "reuse": {**tuned, "replay_as": "quadratic"}},
        "reuse of fast": {**PIPELINED, "reuse": presets["fast"]["reuse"]},
        "commit with the next step": {**PIPELINED, "commit": "with-next"},
        "hybrid context": {**PIPELINED, "context": hybrid},
        "int8 context": {**PIPELINED, "context": {"storage": "int8"}},
        **presets,
        "fast + hybrid int8": {**presets["fast"], "context": {**hybrid, "storage": "int8"}},
    }


SMALL = {"sink": 2, "recent": 4, "bank": 2.0, "grain": 8}


def reuse(kind: str, **options: Any) -> dict[str, Any]:
    return {**PIPELINED, "reuse": {"class": kind, **options}}


def fewer_steps(model: Model, settings: Mapping[str, Mapping[str, Any]], job: Job) -> dict[str, dict[str, Any]]:
    """The baseline that counts: as many plain steps as take the time of each preset, first and second order."""
    names = [name for name in PRESETS if name in settings]
    films, real = shoot(model, {n: settings[n] for n in ("plain", *names)}, job)
    found: dict[str, dict[str, Any]] = {}
    for row in rows(films, real, "plain", job)[1:]:
        steps = max(2, round(matching_steps(row["end_to_end"]["median"])))
        fewer = {"steps": steps, "offset": max(1, round(steps / 4))}
        found[f"{steps} steps"] = fewer
        found[f"{steps} steps, second order"] = {**fewer, "sampler": "multistep"}
    return found


def matching_steps(speed: float) -> float:
    """Plain steps that take the time of a setting ``speed`` times faster than plain, by the costs of `_calibrate`.

    With the offset at a quarter of the steps a chunk makes about a quarter as many calls, and one for its commit.
    """
    row, fixed = 1 + _calibrate.CALL / 4, 1 + _calibrate.CALL + _calibrate.CHUNK
    return ((row * PIPELINED["steps"] + fixed) / speed - fixed) / row


def trunk_share(model: Model) -> float | None:
    """What part of a backbone call the block stack is: the most that replaying its residual could ever save."""
    net: Any = model.backbone
    if not hasattr(net, "trunk"):
        return None
    spent: list[float] = []
    inner = net.trunk.forward

    def timed(*arguments: Any) -> Any:
        began = perf_counter()
        out = inner(*arguments)
        spent.append(perf_counter() - began)
        return out

    session = model.session(rewind=0, restart=False, **PIPELINED)
    list(session.stream(chunks=2))
    net.trunk.forward = timed
    before = session.stats.model_s
    try:
        list(session.stream(chunks=4))
    finally:
        net.trunk.forward = inner
    return sum(spent) / (session.stats.model_s - before)


def table(results: dict[str, Any]) -> str:
    """Markdown, ready for the README."""
    head = (
        "", "end to end", "model only", "ms per chunk", "computed / reused", "context MB", "process MB",
        "PSNR dB (worst)", "SSIM", "error against real footage",
    )  # fmt: skip
    body = [
        [
            row["name"], _tables.ratio(row["end_to_end"]), f"{row['model_only']['median']:.2f}x",
            f"{row['ms_per_chunk']:.0f}", f"{row['computed_per_chunk']:.1f} / {row['reused_per_chunk']:.1f}",
            _tables.megabytes(row["context_bytes"]), _tables.megabytes(row["process_bytes"]),
            "same" if row["psnr_db"] >= 59.99 else f"{row['psnr_db']:.1f} ({row['psnr_worst_window_db']:.1f})",
            f"{row['ssim']:.3f}", f"{row['real_rmse']:.2f} ({row['drift']:+.1%})",
        ]
        for row in results["rows"]
    ]  # fmt: skip
    work = results["workload"]
    share = results["trunk_share"]
    note = (
        f"{work['model']}, {work['steps']} steps, a chunk begins every {work['offset']} steps; "
        f"{work['windows']} windows of held-out play, {work['chunks']} chunks each, settings in turn; medians "
        "(min-max) of time ratios, decode and MP4 encode included. PSNR and SSIM against the plain run over all "
        f"frames; error is RMSE in levels of 255. {_tables.caption(results['setting'])}"
    )
    if share is not None:
        most = 1 / (1 - share)
        note += f" The block stack takes {share:.0%} of a call: replaying its residual could not pass {most:.2f}x."
    return f"{_tables.markdown(head, body)}\n\n{note}"


def plots(results: dict[str, Any], folder: Path) -> list[Path]:
    """PSNR against the plain run, and error against real footage, frame by frame."""
    wanted = [row for row in results["rows"] if not row["name"].startswith(("reuse of", "commit", "hybrid", "int8"))]
    frames = list(range(1, 1 + len(wanted[0]["real_rmse_by_frame"])))
    made = []
    for key, title, axis in (
        ("psnr_by_frame_db", "Against the plain run", "PSNR (dB)"),
        ("real_rmse_by_frame", "Against real footage", "RMSE (levels of 255)"),
    ):
        series = {r["name"]: (frames, r[key]) for r in wanted if key != "psnr_by_frame_db" or r["name"] != "plain"}
        path = folder / f"reuse-{key.partition('_')[0]}.png"
        if _plots.lines(path, f"{MODEL}: {title}", ("frame", axis), series):
            made.append(path)
    return made
