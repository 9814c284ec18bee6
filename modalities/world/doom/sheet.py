"""A contact sheet: what came in a held-out episode, and what the flow and the regression made of the same beginning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unreel.engine.model import Model
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.sheet import contact_sheet
from unreel.modalities.world.doom.data import Played, starts_of
from unreel.modalities.world.forecaster import Forecaster
from unreel.modalities.world.pictures import as_colours

OBSERVED, SHOWN = 16, (0, 1, 4, 8, 16, 32)  # frames; number 0 is the last one observed
FAR = 40  # steps of depth that are shown black


def sheet(
    models: Mapping[str, Model], held_out: Played, path: Path, at: int | None = None, seed: int = 0
) -> dict[str, Frames]:
    """Write a PNG: colours, classes and depth of the truth and of one forecast of each model, frames `SHOWN`.

    ``at`` is the first observed frame; None takes, of those the data has, one with a way to go and much to see.
    Returns the rows as films that begin with the last observed frame.
    """
    length = OBSERVED + max(SHOWN)
    if at is None:
        at = int(max(starts_of(held_out.seed, length, 8), key=lambda start: _interest(held_out, start, length)))
    past, shown = slice(at, at + OBSERVED), slice(at + OBSERVED - 1, at + length)
    seen = {"observations": held_out.frames[past], "actions": held_out.action[past].astype(int)}
    actions = held_out.action[shown][1:].astype(int)
    made = {
        name: Forecaster(model).forecast(seen, actions, len(actions), samples=1, seed=seed)
        for name, model in models.items()
    }
    rows: dict[str, Frames] = {}
    for output, truth in (("rgb", held_out.frames), ("segmentation", held_out.segmentation), ("depth", held_out.depth)):
        rows[f"{output}, true"] = as_colours(output, truth[shown], FAR)
        for name, forecast in made.items():
            film = np.concatenate([truth[shown][:1], forecast[output][0]])
            rows[f"{output}, {name}"] = as_colours(output, film, FAR)
    contact_sheet(rows, path, times=list(SHOWN))
    return rows


def _interest(held_out: Played, start: int, length: int) -> float:
    """The way gone after what is observed, in map units, times how evenly the classes share the least varied frame."""
    seen = held_out.segmentation[start : start + length]
    shares = np.stack([(seen == one).mean((1, 2)) for one in np.unique(seen)])
    variety = (-shares * np.log(shares + 1e-9)).sum(0).min()
    x, y, _ = (held_out.place[start + length - 1] - held_out.place[start + OBSERVED]).tolist()
    return float(variety * np.hypot(x, y))
