"""Held-out play for `unreel bench forecast`, and what is made of it: forecasts, and what they are compared with.

Letters: N windows, S samples, T frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import unreel
from unreel.benchmarks import _footage
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.video.dream.measure import player_place
from unreel.modalities.world.doom.data import load_played, starts_of
from unreel.modalities.world.forecast import Forecast
from unreel.modalities.world.forecaster import Forecaster

CONTEXT, AHEAD = 16, 32  # frames observed, frames forecast
Array = NDArray[Any]
Row = list[dict[str, Array]]  # per window and output: (S, T, ...)


@dataclass(frozen=True)
class Clips:
    """``truth`` by output, each (N, T, H, W, ...); ``actions[n, t]`` led to frame ``t``; ``pose`` (N, T, 2 or 3) is
    where the player is, in ``unit``, and the degrees it looks at, counter-clockwise; ``data`` is the folder it came
    from, None for what is shipped."""

    truth: dict[str, Array]
    actions: NDArray[np.int64]
    pose: Array
    unit: str
    data: Path | None = None


def load_clips(model: Model, data: Path | None, windows: int) -> Clips:
    """Windows of ``CONTEXT + AHEAD`` frames of single episodes that the model never saw.

    Raises:
        UserError: no folder of played episodes, for any model but `dream`.
    """
    if data is None and model.name == "dream":
        play = _footage.load()
        at = np.linspace(0, len(play.frames) - 1, windows).astype(int)
        places = np.stack([player_place(film) for film in play.frames[at]])
        return Clips({"rgb": play.frames[at]}, play.actions[at], places, "pixels")
    if data is None:
        raise UserError(f"{model.name} is measured on held-out episodes: give the folder with them, as in --data DIR")
    played = load_played(data, "test")
    starts = starts_of(played.seed, CONTEXT + AHEAD, every=CONTEXT)
    starts = starts[np.linspace(0, len(starts) - 1, min(windows, len(starts))).astype(int)]

    def cut(array: Array) -> Array:
        return np.stack([array[start : start + CONTEXT + AHEAD] for start in starts])

    truth = {"rgb": cut(played.frames), "segmentation": cut(played.segmentation), "depth": cut(played.depth)}
    return Clips(truth, cut(played.action).astype(np.int64), cut(played.place), "map units", data)


@dataclass(frozen=True)
class Given:
    """What the parts are given. Rows are made when first asked for, and kept."""

    model: Model
    clips: Clips
    samples: int
    quick: bool

    def forecast(self, model: Model, samples: int) -> list[Forecast]:
        """One forecast per window, under the actions that were really taken."""
        forecaster, clips = Forecaster(model), self.clips
        made = []
        for n, (frames, actions) in enumerate(zip(clips.truth["rgb"], clips.actions, strict=True)):
            past = {"observations": frames[:CONTEXT], "actions": actions[:CONTEXT]}
            made.append(forecaster.forecast(past, actions[CONTEXT:], AHEAD, samples, seed=n))
        return made

    @cached_property
    def futures(self) -> list[Forecast]:
        return self.forecast(self.model, self.samples)

    @cached_property
    def rows(self) -> dict[str, Row]:
        """The forecasts, those of the regression twin where there is one, the last frame held, and the codec alone."""
        rows = {"forecast": _read(self.futures)}
        twin = f"{self.model.name}-regression"
        if twin in unreel.models():
            rows["regression"] = _read(self.forecast(unreel.load(twin), 1))
        rows["copy last"] = [self._last(n) for n in range(len(self.futures))]
        if len(self.futures[0].outputs) > 1:
            rows["codec alone"] = [self._coded(n) for n in range(len(self.futures))]
        return rows

    def truth(self, n: int, name: str) -> Array:
        """What really came in a window, (T, ...)."""
        return self.clips.truth[name][n, CONTEXT:]

    def _last(self, n: int) -> dict[str, Array]:
        """The last observed frame held; its segmentation and depth as the codec reads them in it."""
        last = self.clips.truth["rgb"][n, CONTEXT - 1 : CONTEXT]
        found = {"rgb": last}
        for name in self.futures[n].outputs[1:]:
            found[name] = self._of_real(name, last)
        return {name: np.repeat(one[None], AHEAD, axis=1) for name, one in found.items()}

    def _coded(self, n: int) -> dict[str, Array]:
        return {name: self._of_real(name, self.truth(n, "rgb"))[None] for name in self.futures[n].outputs}

    def _of_real(self, name: str, frames: Array) -> Array:
        return np.asarray(self.model.codec.read(name, self.model.codec.encode(frames)))  # type: ignore[attr-defined]


def _read(futures: list[Forecast]) -> Row:
    return [{name: future[name] for name in future.outputs} for future in futures]
