"""What a forecast is: many futures as latents, read as colours, classes or depth when somebody asks.

Letters: S samples, T frames, C channels, H and W pixels, h and w latent cells.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from unreel.engine.context.sharing import Held
from unreel.engine.errors import UserError
from unreel.modalities.media.writer import check_writable
from unreel.modalities.world.metrics import METRICS
from unreel.modalities.world.observations import Ids

AXES = ("height", "width", "colour")


@dataclass(frozen=True, eq=False)
class Forecast:
    """Futures that go on from the same past. ``forecast["rgb"]`` is an array (sample, time, ...), made once.

    ``latents`` (S, T, C, h, w) are clean, ``horizon`` frames long; ``actions`` (S, horizon) are ids, or None;
    ``seeds`` are those of the samples. ``observed_bytes`` is what the context of the past takes, and
    ``contexts[n]`` what all contexts took together when ``n + 1`` chunks were made (see ``Held``).
    """

    latents: Tensor
    horizon: int
    codec: Any
    actions: Ids | None
    seeds: tuple[int, ...]
    observed_bytes: int
    contexts: tuple[Held, ...]
    residuals: Mapping[str, Sequence[float]] = field(default_factory=dict)
    _read: dict[str, NDArray[Any]] = field(default_factory=dict, repr=False)

    def __len__(self) -> int:
        """How many samples there are."""
        return len(self.latents)

    @property
    def context(self) -> Held:
        """What all contexts took together when they were largest."""
        return max(self.contexts, key=lambda held: held.total)

    @property
    def outputs(self) -> tuple[str, ...]:
        """What can be read off: the names that ``forecast[name]`` takes."""
        return tuple(getattr(self.codec, "outputs", ("rgb",)))

    @property
    def classes(self) -> tuple[str, ...]:
        """What the numbers of a segmentation mean; empty for models without one."""
        return tuple(getattr(self.codec, "classes", ()))

    def axes(self, name: str) -> tuple[str, ...]:
        """The names of the axes of ``forecast[name]``."""
        self._check(name)
        own = self.codec.axes[name] if hasattr(self.codec, "axes") else AXES
        return ("sample", "time", *own)

    def __getitem__(self, name: str) -> NDArray[Any]:
        """One output of all samples. rgb uint8, segmentation uint8 class numbers, depth float32.

        Raises:
            UserError: an output that this model does not have.
        """
        self._check(name)
        if name not in self._read:
            self._read[name] = np.stack([self._decoded(name, one) for one in self.latents])[:, : self.horizon]
        return self._read[name]

    def _check(self, name: str) -> None:
        if name not in self.outputs:
            raise UserError(f"this forecast has the outputs {', '.join(self.outputs)}; got {name!r}")

    def _decoded(self, name: str, latents_TChw: Tensor) -> NDArray[Any]:
        with torch.inference_mode():
            if hasattr(self.codec, "read"):
                return np.asarray(self.codec.read(name, latents_TChw))
            return np.asarray(self.codec.decode(latents_TChw, self.codec.new_state())[0])

    def uncertainty(self, name: str) -> NDArray[np.float32]:
        """How far the samples are apart at every pixel (T, H, W).

        For rgb the standard deviation over samples in levels, averaged over colours; for depth its standard deviation;
        for a segmentation the entropy of the samples' votes in nats. Where the model's card tells what error is left
        that no spread shows (``residuals``), it is added.
        """
        found = self[name]
        if name != "segmentation":
            return np.asarray(self.spread(name) + self._residual(name)[:, None, None])
        count = max(len(self.classes), int(found.max()) + 1)
        votes = np.stack([(found == one).mean(0, dtype=np.float32) for one in range(count)])
        return np.asarray(-np.sum(votes * np.log(np.where(votes > 0, votes, 1)), axis=0))

    def spread(self, name: str) -> NDArray[np.float32]:
        """Standard deviation over samples (T, H, W) of an output that is a number, averaged over colours."""
        spread = self[name].astype(np.float32).std(axis=0)
        return np.asarray(spread.mean(-1) if spread.ndim == 4 else spread)

    def _residual(self, name: str) -> NDArray[np.float32]:
        known = self.residuals.get(name) or [0.0]
        return np.asarray([known[min(t, len(known) - 1)] for t in range(self.horizon)], np.float32)

    def best_of(self, truth: NDArray[Any], metric: str | Callable[[Any, Any], float] = "psnr") -> tuple[int, float]:
        """The sample that is closest to what came, and how close it is.

        ``truth`` (T, ...) may be shorter than the horizon. ``metric`` is ``psnr`` (rgb), ``miou`` (segmentation),
        ``d1`` or ``absrel`` (depth), or a function of a sample's rgb and the truth of which more is better.

        Raises:
            UserError: a metric of no name, or a truth of another size.
        """
        if isinstance(metric, str) and metric not in METRICS:
            raise UserError(f"a metric is {', '.join(METRICS)} or a function, got {metric!r}")
        name, measure, rising = METRICS[metric] if isinstance(metric, str) else ("rgb", metric, True)
        found = self[name][:, : len(truth)]
        if found.shape[1:] != np.shape(truth) or not len(truth):
            raise UserError(f"the truth of {name} has the shape {(self.horizon, *found.shape[2:])}, got {truth.shape}")
        values = [measure(one, truth) for one in found]
        best = int(np.argmax(values) if rising else np.argmin(values))
        return best, float(values[best])

    def save(self, path: str | Path) -> Path:
        """Write everything as a compressed .npz: each output, its uncertainty, latents, actions, seeds and axes.

        Raises:
            UserError: another suffix, or a file that cannot be written.
        """
        path = Path(path)
        if path.suffix != ".npz":
            raise UserError(f"a forecast is saved as .npz, got {path}")
        part = path.with_name(path.name + ".part")
        check_writable(path, part)
        arrays: dict[str, Any] = {"latents": self.latents.float().cpu().numpy(), "seeds": np.array(self.seeds)}
        if self.actions is not None:
            arrays["actions"] = self.actions
        for name in self.outputs:
            arrays |= {name: self[name], f"uncertainty_{name}": self.uncertainty(name)}
        axes = {name: self.axes(name) for name in self.outputs}
        arrays["axes"] = np.array(json.dumps({"latents": ("sample", "time", "channel", *AXES[:2]), **axes}))
        with part.open("wb") as file:
            np.savez_compressed(file, **arrays)
        os.replace(part, path)
        return path
