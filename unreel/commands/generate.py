"""`unreel generate`: a film out of a model, written as it is dreamt."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import typer

from unreel import catalogue
from unreel.commands.interrupt import Interrupt
from unreel.commands.options import parse_inputs, parse_start, split_inputs
from unreel.commands.progress import FrameProgress
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.modalities.media.export import open_exporter
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.writer import FrameWriter
from unreel.report import Run, check_json, compare, report, write_json


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for. ``frames`` are media frames; ``compare`` of them are compared with the plain run."""

    frames: int
    seed: int = 0
    steps: int | None = None
    preset: str | None = None
    actions: str | None = None
    start: str | None = None
    fit: Literal["exact", "crop"] = "exact"
    compare: int = 0
    inputs: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UserError(f"--frames must be 1 or more, got {self.frames}")
        if self.compare < 0:
            raise UserError(f"--compare must be a number of frames, 0 or more, got {self.compare}")
        if self.fit not in ("exact", "crop"):
            raise UserError(f"--fit must be exact or crop, got {self.fit}")


def generate(
    model: Annotated[str, typer.Argument(help="A model's name, or the path of its folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The film: .mp4, .gif, .webp or .png (a sequence).")],
    frames: Annotated[int, typer.Option(help="How many frames.")] = 240,
    actions: Annotated[str | None, typer.Option(help="Keys held, dash, frames; repeats when it is short.")] = None,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps per chunk; default: the model's own.")] = None,
    preset: Annotated[
        str | None, typer.Option(help="Options by name, as the model has them: exact, balanced, fast.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help="A clip, an image, the number of a shipped seed clip, or nothing.")
    ] = None,
    fit: Annotated[str, typer.Option(help="exact: a start of another size is an error. crop: cut and resize it.")] = (
        "exact"
    ),
    json: Annotated[Path | None, typer.Option("--json", help="Write every measured number here.")] = None,
    scale: Annotated[int | None, typer.Option(help="Enlarge pixels by a whole factor; default: to 384 high.")] = None,
    fps: Annotated[float | None, typer.Option(help="Frames per second of the file; default: the model's.")] = None,
    inputs: Annotated[
        list[str] | None, typer.Option("-i", "--input", help="NAME=VALUE: offset=2, reuse=..., context.recent=4.")
    ] = None,
    compare: Annotated[int, typer.Option(help="Compare so many frames with the plain run (made afterwards).")] = 0,
) -> None:
    """Dream a film and write it chunk by chunk.

    Ctrl-C stops after the chunk at hand (twice: at once) and leaves a film of what there is.

    Example:  unreel generate dream -o dream.mp4 --frames 480 --actions "w-40,wd-20,a-30,none-10" --seed 7 --steps 4
    """
    request = Request(
        frames,
        seed,
        steps,
        preset,
        actions,
        start,
        fit,
        compare,
        tuple(inputs or ()),  # type: ignore[arg-type]
    )
    began = time.perf_counter()
    check_json(json)
    loaded = catalogue.load(model)
    if loaded.card.modality != "video":
        raise UserError(f"generate writes films of video models, {loaded.name} makes {loaded.card.modality}")
    if compare and min(loaded.frame_size) < 11:
        raise UserError(f"--compare needs frames of 11x11 pixels or more, {loaded.name} makes smaller ones")
    run = Run(load_s=time.perf_counter() - began)
    settings = _settings(loaded, request)
    began = time.perf_counter()
    session = _session(loaded, settings)
    with open_exporter(output, loaded.fps if fps is None else fps, scale) as writer:
        kept = _film(session, writer, request, run, began)
    run.encode_s, run.total_s = writer.seconds, time.perf_counter() - began
    numbers = report(loaded, session, run, asdict(request))
    if kept and not run.interrupted:
        numbers["quality"]["against_plain"] = _against_plain(loaded, settings, np.concatenate(kept), request)
    if json is not None:
        write_json(json, numbers)
    _tell(writer, numbers, request)
    if run.interrupted:
        raise typer.Exit(130)


def _settings(model: Model, request: Request) -> dict[str, Any]:
    """Keyword arguments of ``Model.session``, and ``controls`` to send first."""
    options, controls = split_inputs(parse_inputs(request.inputs), model)
    start = parse_start(request.start, model, request.fit, lambda text: print(f"note: {text}", file=sys.stderr))
    asked = {"seed": request.seed, "steps": request.steps, "preset": request.preset, "actions": request.actions}
    return {**asked, **options, "start": start, "controls": controls}


def _session(model: Model, settings: dict[str, Any]) -> Session:
    arguments = dict(settings)
    controls = arguments.pop("controls")
    if arguments["actions"] is not None and not model.actions:
        raise UserError(f"{model.name} takes no actions; leave --actions out")
    session = model.session(**arguments)
    for name, value in controls.items():
        session.send(name, value)
    return session


def _film(session: Session, writer: FrameWriter, request: Request, run: Run, began: float) -> list[Frames]:
    """Write the frames as they come; those to be compared are returned. Ctrl-C ends it and is noted in ``run``."""
    kept: list[Frames] = []
    with FrameProgress(session.model.name, request.frames) as progress, Interrupt() as interrupt:
        try:
            for event in session.stream(frames=request.frames):
                if not event.final:
                    continue
                frames_THWC = event.payload[: request.frames - run.frames]
                if run.first_frame_s is None:
                    run.first_frame_s = time.perf_counter() - began
                writer.write(frames_THWC)
                if run.frames < request.compare:
                    kept.append(frames_THWC[: request.compare - run.frames])
                run.frames += len(frames_THWC)
                run.look.add(frames_THWC)
                progress.advance(len(frames_THWC), run.first_frame_s)
                if interrupt.asked:
                    break
        except KeyboardInterrupt:
            pass
    run.interrupted = interrupt.asked and writer.frames < request.frames
    run.frames = writer.frames
    return kept


def _against_plain(model: Model, settings: dict[str, Any], ours_THWC: Frames, request: Request) -> dict[str, Any]:
    """The same frames made by the plain loop: nothing reused, block by block, the card's own context.

    With a preset, plain is the preset ``exact``, where the model has it.
    """
    plain = {
        name: value
        for name, value in settings.items()
        if name not in ("reuse", "context", "offset", "commit", "rewind")
    }
    if plain["preset"] is not None:
        plain["preset"] = "exact" if "exact" in model.card.presets else None
    session = _session(model, {**plain, "reuse": "none"})
    parts = [event.payload for event in session.stream(frames=len(ours_THWC))]
    session.close()
    return compare(ours_THWC, np.concatenate(parts)[: len(ours_THWC)])


def _tell(writer: FrameWriter, numbers: dict[str, Any], request: Request) -> None:
    """Three lines for the person at the terminal."""
    frames = numbers["frames"]
    if numbers["interrupted"]:
        written = f"{writer.path} holds what was made" if frames else "nothing was written"
        print(f"stopped after {frames} of {request.frames} frames; {written}")
    if not frames:
        return
    height, width = (side * (writer.scale or 1) for side in writer.size or (0, 0))
    print(f"{writer.path}: {frames} frames, {width}x{height}, {frames / writer.fps:.1f} s at {writer.fps:g} per second")
    chunk = numbers["chunk_s"]
    print(
        f"{numbers['frames_per_s']:.1f} frames/s end to end, {numbers['model_frames_per_s']:.1f} in the model alone; "
        f"first frame after {numbers['time_to_first_frame_s']:.2f} s; "
        f"chunk {chunk['p50'] * 1e3:.0f} ms (p95 {chunk['p95'] * 1e3:.0f} ms)"
    )
    memory = numbers["peak_process_bytes"]
    print(
        f"context {numbers['peak_context_bytes'] / 1e6:.1f} MB, "
        f"process {f'{memory / 1e6:.0f} MB' if memory else 'unknown'}; "
        f"{numbers['steps_computed']} steps computed, {numbers['steps_reused']} reused"
    )
