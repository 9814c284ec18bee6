"""One hour of one paced session on loopback (a minute with --quick): memory, descriptors and latency stay flat."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

from unreel.benchmarks._live import ServerProcess, client, percentiles
from unreel.streaming import protocol as p

SLICES = 12  # the run is reported in so many parts


def run(quick: bool = False, model: str = "dream", seconds: float | None = None) -> dict[str, Any]:
    """The figures of each twelfth of the run, and the last compared with the second (the first warms up)."""
    seconds = seconds or (60.0 if quick else 3600.0)
    with ServerProcess(model, "--idle", "100000") as server:
        slices = asyncio.run(_stream(server, seconds))
    early, late = slices[1], slices[-1]
    return {
        "model": model, "seconds": seconds, "slices": slices,
        "rss_growth": round(late["rss"] / early["rss"] - 1, 4),
        "chunk_p50_growth": round(late["gap_s"]["p50"] / early["gap_s"]["p50"] - 1, 4),
        "latency_p50_growth": round(late["control_s"]["p50"] / early["control_s"]["p50"] - 1, 4),
        "fds": [part["fds"] for part in slices], "median_fps": round(median(part["fps"] for part in slices), 2),
    }  # fmt: skip


async def _stream(server: ServerProcess, seconds: float) -> list[dict[str, Any]]:
    slices: list[dict[str, Any]] = []
    async with client(server.url, p.Configure(formats=["h264"], seed=7)) as live:
        await live.chunk()
        assert live.configured is not None, "a chunk comes after configured"
        keys = live.configured.model.actions or ["none"]
        for part in range(SLICES):
            until, gaps, latencies, frames, last = time.perf_counter() + seconds / SLICES, [], [], 0, live.at
            began, sent, number = time.perf_counter(), 0.0, 0
            while time.perf_counter() < until:
                if number % 8 == 0:
                    sent = time.perf_counter()
                    await live.control(f"h{part}-{number}", "action", keys[(number // 8) % len(keys)])
                    waiting = f"h{part}-{number}"
                header = await live.chunk()
                if waiting in header.applied:
                    latencies.append(live.at - sent)
                gaps.append(live.at - last)
                last, number, frames = live.at, number + 1, frames + header.frames
            slices.append(
                {
                    "fps": round(frames / (time.perf_counter() - began), 2),
                    "rss": server.rss,
                    "fds": server.fds,
                    "gap_s": percentiles(gaps),
                    "control_s": percentiles(latencies),
                }  # fmt: skip
            )
    return slices


def table(results: dict[str, Any]) -> str:
    """The parts of the run in Markdown."""
    lines = [
        f"{results['seconds']:g} s of {results['model']}, in {SLICES} parts", "",
        "| part | frames/s | chunk p50 / p95 ms | control p50 / p95 ms | MB | descriptors |",
        "|---|---|---|---|---|---|",
    ]  # fmt: skip
    for number, part in enumerate(results["slices"], start=1):
        gap, control = part["gap_s"], part["control_s"]
        lines.append(
            f"| {number} | {part['fps']} | {gap['p50'] * 1e3:.1f} / {gap['p95'] * 1e3:.1f} | "
            f"{control['p50'] * 1e3:.0f} / {control['p95'] * 1e3:.0f} | {part['rss'] / 1e6:.1f} | {part['fds']} |"
        )
    growth = results["rss_growth"], results["chunk_p50_growth"], results["latency_p50_growth"]
    lines += [
        "",
        f"last part against second: memory {growth[0]:+.1%}, chunk {growth[1]:+.1%}, control {growth[2]:+.1%}",
    ]
    return "\n".join(lines)
