"""`unreel forecast`: many futures of one clip, as films side by side, numbers and a picture of their uncertainty."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, cast

import numpy as np
import typer

from unreel import catalogue
from unreel.commands.interrupt import Interrupt
from unreel.commands.progress import FrameProgress
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.media.export import export
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.writer import check_writable
from unreel.modalities.world import pictures
from unreel.modalities.world.forecast import Forecast
from unreel.modalities.world.forecaster import Forecaster
from unreel.modalities.world.observations import observed
from unreel.report import check_json, machine, peak_process_bytes, write_json

UNITS = {"rgb": "standard deviation over futures, levels", "segmentation": "entropy of the votes, nats"}


@dataclass
class _Made:
    """What there is so far."""

    folder: Path
    files: list[str] = field(default_factory=list)

    def path(self, name: str) -> Path:
        self.files.append(name)
        return self.folder / name


def forecast(
    model: Annotated[str, typer.Argument(help="A world model's name, or the path of its folder.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder that everything goes into.")],
    clip: Annotated[
        str | None, typer.Option("-i", "--input", help="What is observed: a clip, or the number of a shipped one.")
    ] = None,
    actions: Annotated[
        str | None, typer.Option(help="Keys held, dash, frames, for all of the horizon: w-20,wd-12. Default: none.")
    ] = None,
    samples: Annotated[int, typer.Option(help="How many futures.")] = 8,
    horizon: Annotated[int, typer.Option(help="How many frames ahead.")] = 32,
    seed: Annotated[int, typer.Option(help="Everything random follows from it.")] = 0,
    steps: Annotated[int | None, typer.Option(help="Denoising steps per chunk; default: the model's own.")] = None,
    fit: Annotated[str, typer.Option(help="exact: a clip of another size is an error. crop: cut and resize it.")] = (
        "exact"
    ),
    keep_past: Annotated[
        bool, typer.Option("--keep-past", help="Look at what was observed to the end: a quarter of the memory.")
    ] = False,
    json: Annotated[Path | None, typer.Option("--json", help="Write every measured number here.")] = None,
) -> None:
    """Forecast many futures of what was observed, all of them in one batch that shares the context of the past.

    Writes grid.mp4 (what was observed and all futures side by side; one more for each other output of the model),
    future-01.mp4 and so on, forecast.npz and uncertainty.png. Ctrl-C leaves shorter or fewer futures.

    Example:  unreel forecast dream --actions "w-12,wd-20" --samples 8 --horizon 32 -o futures/
    """
    if fit not in ("exact", "crop"):
        raise UserError(f"--fit must be exact or crop, got {fit}")
    check_json(json)
    loaded = catalogue.load(model)
    forecaster = Forecaster(loaded, steps, keep_past=keep_past)
    past = _observed(loaded, clip, cast(Literal["exact", "crop"], fit))
    made = _Made(_folder(output))
    began = time.perf_counter()
    futures, stopped = _futures(forecaster, past, actions, horizon, samples, seed)
    if futures is None:
        print("stopped at once; nothing was written")
        raise typer.Exit(130)
    numbers = _numbers(loaded, futures, time.perf_counter() - began)
    _write(made, loaded, past["observations"], futures)
    numbers |= {"interrupted": stopped, "files": made.files, "total_s": time.perf_counter() - began}
    numbers["request"] = {"input": clip, "actions": actions, "samples": samples, "horizon": horizon, "seed": seed,
                          "steps": steps, "keep_past": keep_past}  # fmt: skip
    if json is not None:
        write_json(json, numbers)
    _tell(made, numbers)
    if stopped:
        raise typer.Exit(130)


def _observed(model: Model, clip: str | None, fit: Literal["exact", "crop"]) -> dict[str, Any]:
    """The clip's frames, and the actions taken in it where it is a shipped one."""
    if clip is None or (clip.isdigit() and not Path(clip).exists()):
        shipped, number = model.seeds.get("frames"), int(clip or 0)
        if shipped is None or number >= len(shipped):
            has = "no clips" if shipped is None else f"the clips 0 to {len(shipped) - 1}"
            raise UserError(f"{model.name} ships {has}: give a clip, as in -i clip.mp4")
        taken = model.seeds.get("actions")
        clips: dict[str, Any] = {"observations": shipped[number].numpy()}
        return clips if taken is None else {**clips, "actions": taken[number].tolist()}
    return {"observations": observed(model, clip, fit).media}


def _folder(path: Path) -> Path:
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(f"cannot make the folder {path}: {error.strerror}; give another with -o") from None
    probe = path / "grid.mp4"
    part = probe.with_name(probe.name + ".part")
    check_writable(probe, part)
    part.unlink()
    return path


def _futures(
    forecaster: Forecaster, past: dict[str, Any], actions: str | None, horizon: int, samples: int, seed: int
) -> tuple[Forecast | None, bool]:
    """The forecast, and whether Ctrl-C ended it; None where there was nothing yet."""
    began, seen = time.perf_counter(), 0
    with FrameProgress(forecaster.model.name, max(1, samples * horizon)) as progress, Interrupt() as interrupt:

        def note(frames: int) -> bool:
            nonlocal seen
            progress.advance(frames - seen, time.perf_counter() - began)
            seen = frames
            return interrupt.asked

        try:
            made = forecaster.forecast(past, actions, horizon, samples, seed, note)
        except KeyboardInterrupt:
            return None, True
    return made, interrupt.asked and seen < samples * horizon


def _write(made: _Made, model: Model, past_THWC: Frames, futures: Forecast) -> None:
    for n, future in enumerate(futures["rgb"]):
        export([future], made.path(f"future-{n + 1:02d}.mp4"), model.fps)
    for name in futures.outputs:
        seen, values = past_THWC, futures[name]
        if name != "rgb":
            seen = model.codec.read(name, model.codec.encode(past_THWC))  # type: ignore[attr-defined]
        top = float(np.quantile(values, 0.99))
        cells = pictures.grid(pictures.as_colours(name, seen, top), pictures.as_colours(name, values, top))
        file = "grid.mp4" if name == "rgb" else f"grid-{name}.mp4"
        export([cells], made.path(file), model.fps, scale=1)
    maps = {name: futures.uncertainty(name) for name in futures.outputs}
    units = {name: UNITS.get(name, "standard deviation over futures") for name in maps}
    pictures.uncertainty_plot(maps, units, made.path("uncertainty.png"))
    futures.save(made.path("forecast.npz"))


def _numbers(model: Model, futures: Forecast, seconds: float) -> dict[str, Any]:
    held = futures.context
    return {
        "model": model.name,
        "samples": len(futures),
        "horizon": futures.horizon,
        "forecast_s": seconds,
        "frames_per_s": len(futures) * futures.horizon / seconds,
        "context_bytes": {
            "observed": futures.observed_bytes, "peak": held.total, "peak_if_nothing_were_shared": held.apart,
        },
        "peak_process_bytes": peak_process_bytes(),
        "uncertainty_by_frame": {
            name: [round(float(value), 6) for value in futures.uncertainty(name).mean((1, 2))]
            for name in futures.outputs
        },
        "machine": machine(model),
    }  # fmt: skip


def _tell(made: _Made, numbers: dict[str, Any]) -> None:
    if numbers["interrupted"]:
        print("stopped early; what was made is written", file=sys.stderr)
    held = numbers["context_bytes"]
    print(f"{made.folder}: {numbers['samples']} futures of {numbers['horizon']} frames, {len(made.files)} files")
    print(
        f"{numbers['frames_per_s']:.1f} frames/s over all futures, {numbers['forecast_s']:.1f} s; context of the past "
        f"{held['observed'] / 1e6:.2f} MB, held once; at most {held['peak'] / 1e6:.2f} MB with what each future adds"
    )
