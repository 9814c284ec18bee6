"""`unreel generate`: a film out of a model, written as it is dreamt."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import typer

from unreel import catalogue
from unreel.commands import making
from unreel.commands.interrupt import Interrupt
from unreel.commands.options import parse_inputs, parse_start, split_inputs
from unreel.commands.progress import FrameProgress
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.works import Exporter, FilmWorks, MakerWorks, Order, Works
from unreel.report import Run, check_json, compare, report, write_json

DEFAULT_FRAMES = 240


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
    restart: bool | None = None

    def __post_init__(self) -> None:
        if self.frames < 1:
            raise UserError(f"--frames must be 1 or more, got {self.frames}")
        if self.compare < 0:
            raise UserError(f"--compare must be a number of frames, 0 or more, got {self.compare}")
        if self.fit not in ("exact", "crop"):
            raise UserError(f"--fit must be exact or crop, got {self.fit}")


def generate(
    model: Annotated[str, typer.Argument(help="A model's name, or the path of its folder.")],
    output: Annotated[
        Path,
        typer.Option(
            "-o", "--output", help="What to write: .mp4, .webm, .gif, .webp, .png; rigs and motions: .glb, .bvh, .npz."
        ),
    ],
    frames: Annotated[int | None, typer.Option(help="How many frames; default: those of the input, or 240.")] = None,
    seconds: Annotated[float | None, typer.Option(help="The same in seconds of the file's frames per second.")] = None,
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
        list[str] | None,
        typer.Option(
            "-i",
            "--input",
            help="NAME=VALUE: video=clip.mp4, camera=track.json, offset=2 ...",
        ),
    ] = None,
    compare: Annotated[int, typer.Option(help="Compare so many frames with the plain run (made afterwards).")] = 0,
    restart: Annotated[
        bool | None,
        typer.Option(help="Begin a new world when one is over; default: where the model's card has an ending."),
    ] = None,
) -> None:
    """Dream a film and write it chunk by chunk.

    Ctrl-C stops after the chunk at hand (twice: at once) and leaves a film of what there is.

    Example:  unreel generate dream -o dream.mp4 --frames 480 --actions "w-40,wd-20,a-30,none-10" --seed 7 --steps 4
    """
    request = Request(
        DEFAULT_FRAMES if frames is None else frames,
        seed,
        steps,
        preset,
        actions,
        start,
        fit,
        compare,
        tuple(inputs or ()),  # type: ignore[arg-type]
        restart,
    )
    if frames is not None and seconds is not None:
        raise UserError("give --frames or --seconds, not both")
    began = time.perf_counter()
    check_json(json)
    loaded = catalogue.load(model)
    works = catalogue.works(loaded)
    if compare and min(loaded.frame_size) < 11:
        raise UserError(f"--compare needs frames of 11x11 pixels or more, {loaded.name} makes smaller ones")
    run = Run(load_s=time.perf_counter() - began)
    settings, asked = _settings(loaded, works, request)
    if asked.things != "frames":
        making.check(
            loaded, asked, {"frames": frames, "seconds": seconds, "compare": compare, "scale": scale, "start": start}
        )
        maker = cast(MakerWorks, works).maker(output, loaded, asked, loaded.fps if fps is None else fps)
        code = making.make(lambda: _session(loaded, settings), loaded, asked, maker, run, json, asdict(request))
        raise typer.Exit(code)
    modality = cast(FilmWorks, works)
    rate = (asked.fps or loaded.fps) if fps is None else fps
    if seconds is not None:
        request = replace(request, frames=round(seconds * rate))
    elif frames is None and asked.frames is not None:
        request = replace(request, frames=asked.frames)
    began = time.perf_counter()
    session = _session(loaded, settings)
    with modality.exporter(output, loaded, asked, rate, scale, request.frames) as writer:
        kept = _film(session, writer, request, run, began)
    run.encode_s, run.total_s = writer.seconds, time.perf_counter() - began
    numbers = report(loaded, session, run, asdict(request))
    if kept and not run.interrupted:
        numbers["quality"]["against_plain"] = _against_plain(loaded, modality, settings, np.concatenate(kept))
    if json is not None:
        write_json(json, numbers)
    _tell(writer, numbers, request)
    if run.interrupted:
        raise typer.Exit(130)


def _settings(model: Model, modality: Works, request: Request) -> tuple[dict[str, Any], Order]:
    """Keyword arguments of ``Model.session`` with the ``controls`` to send first, and what the inputs ask for."""

    def note(text: str) -> None:
        print(f"note: {text}", file=sys.stderr)

    options, inputs = split_inputs(parse_inputs(request.inputs), model, modality.inputs(model))
    order = modality.order(model, inputs, note)
    start = order.start if request.start is None else parse_start(request.start, model, request.fit, note)
    asked = {"seed": request.seed, "steps": request.steps, "preset": request.preset, "actions": request.actions}
    asked["restart"] = request.restart
    return {**asked, **options, "start": start, "controls": dict(order.controls)}, order


def _session(model: Model, settings: dict[str, Any]) -> Session:
    arguments = dict(settings)
    controls = arguments.pop("controls")
    if arguments["actions"] is not None and not model.actions:
        raise UserError(f"{model.name} takes no actions; leave --actions out")
    session = model.session(**arguments)
    for name, value in controls.items():
        session.send(name, value)
    return session


def _film(session: Session, writer: Exporter, request: Request, run: Run, began: float) -> list[Frames]:
    """Write the frames as they come; those to be compared are returned. Ctrl-C ends it and is noted in ``run``."""
    kept: list[Frames] = []
    with FrameProgress(session.model.name, request.frames) as progress, Interrupt() as interrupt:
        try:
            for event in session.stream(frames=request.frames):
                before = writer.frames
                frames_THWC = writer.add(event)
                if run.first_frame_s is None:
                    run.first_frame_s = time.perf_counter() - began
                if frames_THWC is not None:
                    if run.frames < request.compare:
                        kept.append(frames_THWC[: request.compare - run.frames])
                    run.frames += len(frames_THWC)
                    run.look.add(frames_THWC)
                progress.advance(writer.frames - before, run.first_frame_s)
                if interrupt.asked:
                    break
        except KeyboardInterrupt:
            pass
    run.interrupted = interrupt.asked and writer.frames < request.frames
    run.frames = writer.frames
    return kept


def _against_plain(model: Model, modality: FilmWorks, settings: dict[str, Any], ours_THWC: Frames) -> dict[str, Any]:
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
    collect = modality.collector(model)
    parts = [collect(event) for event in session.stream(frames=len(ours_THWC))]
    session.close()
    return compare(ours_THWC, np.concatenate([part for part in parts if part is not None])[: len(ours_THWC)])


def _tell(writer: Exporter, numbers: dict[str, Any], request: Request) -> None:
    """Three lines for the person at the terminal."""
    frames = numbers["frames"]
    if numbers["interrupted"]:
        written = f"{writer.path} holds what was made" if frames else "nothing was written"
        print(f"stopped after {frames} of {request.frames} frames; {written}")
    if not frames:
        return
    lasting = f"{frames / writer.fps:.1f} s at {writer.fps:g} per second"
    if writer.size is None:
        print(f"{writer.path}: {frames} poses, {lasting}")
    else:
        height, width = (side * (writer.scale or 1) for side in writer.size)
        print(f"{writer.path}: {frames} frames, {width}x{height}, {lasting}")
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
        f"{numbers['steps_computed']} steps computed, {numbers['steps_reused']} reused{_worlds(numbers['restarts'])}"
    )


def _worlds(restarts: int) -> str:
    """How often a world was over, where one was."""
    return f"; {restarts} restart{'s'[: restarts > 1]}" if restarts else ""
