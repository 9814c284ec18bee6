"""The part of `unreel generate` for models that make one thing and end by themselves: a rig out of a mesh."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unreel.commands.interrupt import Interrupt
from unreel.commands.progress import Counting
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.modalities.media.works import Maker, Order
from unreel.report import Run, report, write_json

FILM_ONLY = (  # of a report
    "frames", "frames_per_s", "model_frames_per_s", "quality", "time_to_first_frame_s", "restarts",
)  # fmt: skip

FILM_OPTIONS = ("frames", "compare", "start", "fit", "actions", "restart")


def check(model: Model, asked: Order, given: Mapping[str, Any]) -> None:
    """UserError for an option that is about frames."""
    for name, value in given.items():
        if value:
            raise UserError(f"{model.name} makes {asked.things}, not frames: leave --{name} out")


def make(
    begin: Callable[[], Session],
    model: Model,
    asked: Order,
    maker: Maker,
    run: Run,
    json: Path | None,
    request: dict[str, Any],
) -> int:
    """Generate, write, tell. Ctrl-C ends it early and leaves what can be made of what there is; returns 130 then."""
    began = time.perf_counter()
    session = begin()
    with maker, Counting(model.name, asked.things) as progress, Interrupt() as interrupt:
        try:
            for event in () if maker.whole else session.stream():
                maker.add(event)
                run.first_frame_s = run.first_frame_s or time.perf_counter() - began
                progress.show(maker.made, run.first_frame_s)
                if interrupt.asked:
                    break
        except KeyboardInterrupt:
            pass
    run.interrupted = interrupt.asked and not session.finished
    run.encode_s, run.total_s = maker.seconds, time.perf_counter() - began
    numbers = {name: value for name, value in report(model, session, run, request).items() if name not in FILM_ONLY}
    numbers["request"] = {name: value for name, value in request.items() if name not in FILM_OPTIONS}
    numbers |= {asked.things: maker.made, "time_to_first_s": run.first_frame_s}
    if json is not None:
        write_json(json, numbers)
    _tell(maker, numbers, asked.things)
    return 130 if run.interrupted else 0


def _tell(maker: Maker, numbers: Mapping[str, Any], things: str) -> None:
    """Two or three lines for the person at the terminal."""
    if numbers["interrupted"]:
        written = f"{maker.path} holds what was made" if maker.made else "nothing was written"
        print(f"stopped after {maker.made} {things}; {written}")
    if not maker.made:
        return
    print(maker.told())
    seconds = numbers["seconds"]
    if numbers["time_to_first_s"] is None:
        print(f"written as it is in {seconds['total']:.1f} s")
        return
    print(
        f"first of the {things} after {numbers['time_to_first_s']:.2f} s, all in {seconds['total']:.1f} s: "
        f"{seconds['model']:.1f} in the model, {seconds['encode']:.1f} on the file"
    )
