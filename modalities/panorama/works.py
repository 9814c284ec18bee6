"""What the commands need of panoramas: a clip, a photograph or nothing as input; whole windows as films."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.works import Note, Order
from unreel.modalities.panorama import film
from unreel.modalities.panorama.film import PanoramaFilm, open_film
from unreel.modalities.panorama.inputs import ANGLES, view_of

FRAMES = 80  # of a world that nothing was given of


def inputs(model: Model) -> list[str]:
    return ["video", "image", "camera", *ANGLES, "gaze", "layout", "height", *model.conditions]


def order(model: Model, inputs: Mapping[str, Any], note: Note) -> Order:
    """A view lasts as long as its clip and keeps its rate; a photograph, or nothing, makes ``FRAMES`` frames."""
    view, fps = view_of(inputs, int(model.card.plan["size"]))
    controls = {name: inputs[name] for name in model.conditions if name in inputs}
    if view is not None:
        controls["view"] = view
    if "gaze" in inputs:
        controls["camera"] = inputs["gaze"]
    wishes = {name: inputs[name] for name in ("layout", "height") if name in inputs}
    frames = len(view["frames"]) if view is not None and fps is not None else FRAMES
    return Order(controls, frames, fps, wishes)


def exporter(path: Path, model: Model, order: Order, fps: float, scale: int | None, frames: int) -> PanoramaFilm:
    options = dict(order.film)
    if scale is not None:
        options.setdefault("height", 2 * scale * int(model.card.plan["size"]))
    return open_film(path, fps, frames=frames, **options)


def collector(model: Model) -> Callable[[Event], Frames | None]:
    return film.collector()
