"""Serving `dream` on loopback: first frame, control to picture, throughput, batching, many viewers, a deaf one."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from unreel.benchmarks._live import Client, ServerProcess, client, control_latencies, percentiles
from unreel.streaming import protocol as p

FORMAT: list[Any] = ["h264"]


def run(quick: bool = False, model: str = "dream") -> dict[str, Any]:
    """All measurements, each on a server in a process of its own."""
    scale = 1 if quick else 4
    results: dict[str, Any] = {"model": model, "quick": quick}
    with ServerProcess(model) as server:
        asyncio.run(_frames(server.url, 10, free=True))  # first use of everything
        results["first_frame_s"] = percentiles([asyncio.run(_first(server.url)) for _ in range(5 * scale)])
        found, period = asyncio.run(control_latencies(server.url, 25 * scale))
        results["control_to_picture_s"] = {**percentiles(found), "limit": round(period + 0.05, 5), "period": period}
        results["throughput"] = _throughput(server, model, 60 * scale, rounds=2 if quick else 3)
        results["batching"] = asyncio.run(_batching(server.url, 20 * scale, rounds=2 if quick else 3))
        results["viewers"] = asyncio.run(_viewers(server.url, 64, 5.0 * scale))
        results["deaf_viewer"] = asyncio.run(_deaf(server, 5.0 * scale))
    results["gates"] = _gates(results)
    return results


async def _first(url: str) -> float:
    """Seconds from opening the connection to the first picture's bytes."""
    began = time.perf_counter()
    async with client(url, p.Configure(formats=FORMAT, seed=1)) as live:
        await live.chunk()
        return live.at - began


async def _frames(url: str, frames: int, *, free: bool, seed: int = 7) -> float:
    """Seconds that so many frames of one session take, from configuring it on."""
    async with client(url, p.Configure(formats=FORMAT, seed=seed, pace="free" if free else "realtime")) as live:
        began, got = time.perf_counter(), 0
        while got < frames:
            got += (await live.chunk()).frames
        return live.at - began


def _throughput(server: ServerProcess, model: str, frames: int, rounds: int) -> dict[str, Any]:
    """Frames per second of one unpaced session against ``unreel generate``, in turns; both also write an MP4."""
    served, offline = [], []
    for number in range(rounds):
        served.append(frames / asyncio.run(_frames(server.url, frames, free=True)))
        with tempfile.TemporaryDirectory() as folder:
            numbers = Path(folder) / "run.json"
            command = [sys.executable, "-m", "unreel", "generate", model, "-o", str(Path(folder) / "run.mp4")]
            command += ["--frames", str(frames), "--seed", str(7 + number), "--json", str(numbers)]
            subprocess.run(command, check=True, capture_output=True)
            offline.append(json.loads(numbers.read_text(encoding="utf-8"))["frames_per_s"])
    ratios = [a / b for a, b in zip(served, offline, strict=True)]
    return {
        "served_fps": [round(x, 2) for x in served], "offline_fps": [round(x, 2) for x in offline],
        "ratio": round(median(ratios), 3), "ratio_min": round(min(ratios), 3), "ratio_max": round(max(ratios), 3),
    }  # fmt: skip


async def _batching(url: str, frames: int, rounds: int, sessions: int = 8) -> dict[str, Any]:
    """Aggregate frames per second: the same sessions at once and one after another, in turns in one run."""
    together, apart = [], []
    for _ in range(rounds):
        began = time.perf_counter()
        await asyncio.gather(*(_frames(url, frames, free=True, seed=seed) for seed in range(sessions)))
        together.append(sessions * frames / (time.perf_counter() - began))
        began = time.perf_counter()
        for seed in range(sessions):
            await _frames(url, frames, free=True, seed=seed)
        apart.append(sessions * frames / (time.perf_counter() - began))
    ratios = [a / b for a, b in zip(together, apart, strict=True)]
    return {
        "sessions": sessions,
        "batched_fps": [round(x, 1) for x in together], "serial_fps": [round(x, 1) for x in apart],
        "ratio": round(median(ratios), 3), "ratio_min": round(min(ratios), 3), "ratio_max": round(max(ratios), 3),
    }  # fmt: skip


async def _take(live: Client, until: float) -> list[tuple[float, int]]:
    """Arrivals (time, frames) until a time."""
    found = []
    while (left := until - time.perf_counter()) > 0:
        try:
            header = await asyncio.wait_for(live.chunk(), left)
        except TimeoutError:
            break
        if not header.replay:
            found.append((live.at, header.frames))
    return found


def _rate(found: list[tuple[float, int]]) -> float:
    """Frames per second between the first and the last arrival."""
    if len(found) < 2:
        return 0.0
    return sum(frames for _, frames in found[1:]) / (found[-1][0] - found[0][0])


async def _viewers(url: str, count: int, seconds: float) -> dict[str, Any]:
    """One paced session, ``count`` viewers: everybody's rate, the rate with one viewer just before, and losses."""
    async with client(url, p.Configure(formats=FORMAT, seed=3)) as owner:
        await owner.chunk()
        assert owner.configured is not None, "a chunk comes after configured"
        watch, model = owner.configured.watch, owner.configured.model
        alone = _rate(await _take(owner, time.perf_counter() + seconds))
        until = time.perf_counter() + seconds + 2.0
        own = asyncio.create_task(_take(owner, until))

        async def look() -> tuple[float, int]:
            async with client(url, p.Watch(token=watch, formats=FORMAT)) as viewer:
                found = await _take(viewer, until)
                return _rate([x for x in found if x[0] > until - seconds]), viewer.dropped

        rates = await asyncio.gather(*(look() for _ in range(count - 1)))
        mine = _rate([x for x in await own if x[0] > until - seconds])
    everybody = [rate for rate, _ in rates] + [mine]
    return {
        "viewers": count, "fps": model.fps, "alone_fps": round(alone, 2), "slowest_fps": round(min(everybody), 2),
        "median_fps": round(median(everybody), 2), "dropped_chunks": sum(lost for _, lost in rates),
    }  # fmt: skip


async def _deaf(server: ServerProcess, seconds: float) -> dict[str, Any]:
    """A viewer that never reads beside one that does: the reader's rate, and what the server holds for the deaf."""
    async with client(server.url, p.Configure(formats=["rgb"], seed=4)) as owner:
        await owner.chunk()
        assert owner.configured is not None, "a chunk comes after configured"
        alone = _rate(await _take(owner, time.perf_counter() + seconds))
        before, began = server.rss, time.perf_counter()
        own = asyncio.create_task(_take(owner, began + seconds))
        hello = p.Watch(token=owner.configured.watch, formats=["rgb"], window=64)
        async with client(server.url, hello) as deaf:
            deaf.socket.transport.pause_reading()
            found = await own
            grown = server.rss - before
            deaf.socket.transport.abort()
        fps = owner.configured.model.fps
    return {
        "fps": fps, "alone_fps": round(alone, 2),
        "reader_fps": round(_rate(found), 2), "reader_dropped": owner.dropped, "seconds": seconds,
        "grown_bytes": grown,
    }  # fmt: skip


def _gates(results: dict[str, Any]) -> dict[str, bool]:
    control, viewers, deaf = results["control_to_picture_s"], results["viewers"], results["deaf_viewer"]
    return {
        "control to picture p95 <= period + 50 ms": control["p95"] <= control["limit"],
        "served >= 95 % of offline": results["throughput"]["ratio"] >= 0.95,
        "8 batched >= 1.5 x 8 in turn": results["batching"]["ratio"] >= 1.5,
        "64 viewers at full rate": viewers["slowest_fps"] >= 0.97 * min(viewers["fps"], viewers["alone_fps"])
        and not viewers["dropped_chunks"],
        "a deaf viewer: memory bounded, others at full rate": deaf["reader_fps"]
        >= 0.97 * min(deaf["fps"], deaf["alone_fps"])
        and deaf["grown_bytes"] < 50_000_000,
    }


def table(results: dict[str, Any]) -> str:
    """The results in Markdown."""
    first, control, through = results["first_frame_s"], results["control_to_picture_s"], results["throughput"]
    batch, viewers, deaf = results["batching"], results["viewers"], results["deaf_viewer"]
    rows = [
        ("time to first frame", f"p50 {first['p50'] * 1e3:.0f} ms, p95 {first['p95'] * 1e3:.0f} ms (n={first['n']})"),
        (
            "control to picture",
            f"p50 {control['p50'] * 1e3:.0f} ms, p95 {control['p95'] * 1e3:.0f} ms (n={control['n']}; "
            f"limit {control['limit'] * 1e3:.0f} ms)",
        ),
        (
            "served against offline",
            f"{through['ratio']:.2f}x ({through['ratio_min']:.2f} to {through['ratio_max']:.2f}): "
            f"{through['served_fps']} against {through['offline_fps']} frames/s",
        ),
        (
            f"{batch['sessions']} sessions batched against in turn",
            f"{batch['ratio']:.2f}x ({batch['ratio_min']:.2f} to {batch['ratio_max']:.2f}): "
            f"{batch['batched_fps']} against {batch['serial_fps']} frames/s",
        ),
        (
            f"{viewers['viewers']} viewers of one session",
            f"slowest {viewers['slowest_fps']} frames/s (one viewer: {viewers['alone_fps']}; "
            f"stream: {viewers['fps']:g}), {viewers['dropped_chunks']} chunks lost",
        ),
        (
            "a viewer that never reads",
            f"reader {deaf['reader_fps']} frames/s (without it: {deaf['alone_fps']}), "
            f"server grew by {deaf['grown_bytes'] / 1e6:.1f} MB in {deaf['seconds']:g} s",
        ),
    ]
    lines = ["| what | measured |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows), ""]
    lines += [f"- {'met' if met else 'MISSED'}: {gate}" for gate, met in results["gates"].items()]
    return "\n".join(lines)
