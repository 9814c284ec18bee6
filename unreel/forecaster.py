"""`unreel.Forecaster`: the world's forecaster, by a model's name as well."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from unreel.catalogue import load
from unreel.engine.model import Model
from unreel.modalities.world import forecaster


class Forecaster(forecaster.Forecaster):
    """``Forecaster("doom")``, or of a loaded model; options as in the class that it is made from."""

    def __init__(self, model: Model | str | Path, steps: int | None = None, **options: Any) -> None:
        super().__init__(model if isinstance(model, Model) else load(model), steps, **options)
