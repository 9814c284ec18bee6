"""What the engine costs: a session's chunks against the bare backbone and codec calls of the same work."""

from __future__ import annotations

import time
from statistics import median
from typing import Any

import torch

import unreel
from unreel.engine.interfaces import Backbone
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.engine.threads import fitting

WARM_CHUNKS = 14  # the shipped window is full by then


class Recorder:
    """Stands in for a backbone and remembers the arguments of every call."""

    def __init__(self, backbone: Backbone) -> None:
        self.backbone, self.calls = backbone, []
        self.rope = backbone.rope

    def __call__(self, *arguments: Any) -> torch.Tensor:
        self.calls.append(arguments)
        return self.backbone(*arguments)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.backbone, name)


def record_chunk(model: Model, session: Session) -> tuple[list[Any], torch.Tensor]:
    """The backbone calls of one more chunk, and its clean latents."""
    recorder = Recorder(model.backbone)
    backbone, model.backbone = model.backbone, recorder  # type: ignore[assignment]
    try:
        event = next(iter(session.stream(chunks=1)))
    finally:
        model.backbone = backbone
    return recorder.calls, session.state.past[event.chunk.index].clean


def bare_seconds(model: Model, calls: list[Any], clean: torch.Tensor) -> float:
    """Seconds for the same backbone calls and the same decode, and nothing else."""
    began = time.perf_counter()
    with torch.inference_mode(), fitting(1):  # on as many threads as the engine gives these
        for arguments in calls:
            model.backbone(*arguments)
    model.codec.decode(clean, model.codec.new_state())
    return time.perf_counter() - began


def engine_seconds(session: Session) -> float:
    """Seconds for one chunk of a session, from request to event."""
    began = time.perf_counter()
    next(iter(session.stream(chunks=1)))
    return time.perf_counter() - began


def run(quick: bool = False) -> dict[str, Any]:
    """Interleaved, chunk by chunk: engine, bare, engine, bare, ..."""
    model = unreel.load("dream")
    session = model.session(seed=1)
    list(session.stream(chunks=WARM_CHUNKS))
    calls, clean = record_chunk(model, session)
    engine, bare = [], []
    for _ in range(20 if quick else 100):
        engine.append(engine_seconds(session))
        bare.append(bare_seconds(model, calls, clean))
    ratios = sorted(e / b for e, b in zip(engine, bare, strict=True))
    return {
        "steps": session.schedule.steps,
        "calls_per_chunk": len(calls),
        "engine_ms": 1e3 * median(engine),
        "bare_ms": 1e3 * median(bare),
        "overhead": median(engine) / median(bare) - 1,
        "ratio_of_pairs": {"median": median(ratios), "min": ratios[0], "max": ratios[-1]},
        "chunks": len(engine),
    }


def table(results: dict[str, Any]) -> str:
    """One Markdown row."""
    return (
        "| steps | engine ms per chunk | bare calls ms | overhead |\n|---|---|---|---|\n"
        f"| {results['steps']} | {results['engine_ms']:.1f} | {results['bare_ms']:.1f} | {results['overhead']:.1%} |"
    )
