"""The numbers of one run, always together: speed, memory, work and quality on the same page.

All durations are seconds, all sizes bytes. ``frames_per_s`` is end to end: model, decode, encode and everything
between. ``time_to_first_frame_s`` counts from the call that made the session; loading the model is ``load_s``.
"""

from __future__ import annotations

import json
import os
import platform
import sys
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch

from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.quality import Look, psnr, ssim
from unreel.modalities.media.writer import check_writable


@dataclass
class Run:
    """What the caller of a session measures: the rest is in the session's own ``stats``."""

    load_s: float = 0.0
    first_frame_s: float | None = None
    total_s: float = 0.0
    encode_s: float = 0.0
    frames: int = 0
    interrupted: bool = False
    look: Look = field(default_factory=Look)


def report(model: Model, session: Session, run: Run, request: dict[str, Any]) -> dict[str, Any]:
    """Everything measured of one generation, as plain numbers; ``request`` is repeated as it was asked for."""
    stats = session.stats.summary()
    return {
        "model": model.name,
        "frames": run.frames,
        "chunks": stats["chunks"],
        "interrupted": run.interrupted,
        "time_to_first_frame_s": run.first_frame_s,
        "frames_per_s": _per_second(run.frames, run.total_s),
        "model_frames_per_s": _per_second(run.frames, stats["model_s"]),
        "chunk_s": {"p50": stats["chunk_p50_s"], "p95": stats["chunk_p95_s"]},
        "peak_context_bytes": stats["peak_context_bytes"],
        "peak_process_bytes": peak_process_bytes(),
        "steps_computed": stats["steps_computed"],
        "steps_reused": stats["steps_reused"],
        "restarts": stats["restarts"],
        "quality": {"against_plain": None, "ground_truth": None, "drift": run.look.drift()},
        "seconds": {
            "load": run.load_s,
            "total": run.total_s,
            "model": stats["model_s"],
            "commit": stats["commit_s"],
            "decode": stats["decode_s"],
            "encode": run.encode_s,
        },
        "request": request,
        "machine": machine(model),
    }


def compare(ours_THWC: Frames, plain_THWC: Frames) -> dict[str, Any]:
    """Quality against the plain run, frame by frame; ``psnr_db`` is None where it would be infinite (``identical``)."""
    decibels, similarity = psnr(ours_THWC, plain_THWC), ssim(ours_THWC, plain_THWC)
    finite = bool(np.isfinite(decibels).all())
    return {
        "frames": len(ours_THWC),
        "identical": bool(np.isinf(decibels).all()),
        "psnr_db": {"mean": float(decibels.mean()), "min": float(decibels.min())} if finite else _worst(decibels),
        "ssim": {"mean": float(similarity.mean()), "min": float(similarity.min())},
    }


def _worst(decibels: np.ndarray) -> dict[str, float | None]:
    """Some frames are equal, so there is no mean; the minimum is there unless all are equal."""
    return {"mean": None, "min": None if np.isinf(decibels).all() else float(decibels.min())}


def machine(model: Model) -> dict[str, Any]:
    """What it ran on and with."""
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": model.device,
        "dtype": str(model.dtype).removeprefix("torch."),
        "attention": model.attention.__name__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "unreel": version("unreel"),
    }


def peak_process_bytes() -> int | None:
    """The most memory this process has held so far (resident set); None on systems that do not tell."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def check_json(path: Path | None) -> None:
    """UserError when a report could not be written to ``path``; leaves nothing behind."""
    if path is not None:
        part = path.with_name(path.name + ".part")
        check_writable(path, part)
        part.unlink()


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a report in one step: the file is whole or not there."""
    part = path.with_name(path.name + ".part")
    part.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    os.replace(part, path)


def _per_second(frames: int, seconds: float) -> float | None:
    return frames / seconds if seconds > 0 else None


def processor() -> str:
    """The processor's name where the system tells it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
