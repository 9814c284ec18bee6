"""`unreel train`: make a shipped model's weights again."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated

import typer

from unreel import modalities
from unreel.engine.errors import UserError


def train(
    context: typer.Context,
    model: Annotated[str, typer.Argument(help="The model to train, as in: dream.")],
) -> None:
    """Train a shipped model again, from data that the command gets itself.

    Everything after the model's name goes to its trainer: `unreel train dream --help` shows what it takes.

    Example:  unreel train dream
    """
    trainers = find_trainers()
    if model not in trainers:
        known = ", ".join(trainers) or "none"
        raise UserError(f"there is no trainer for {model!r}: known are {known}")
    import_module(trainers[model]).main(context.args)


def find_trainers() -> dict[str, str]:
    """Model names and the modules that train them: `modalities/MODALITY/MODEL/train.py`, with `main(arguments)`."""
    found: dict[str, str] = {}
    for modality in pkgutil.iter_modules(modalities.__path__, "unreel.modalities."):
        spec = find_spec(modality.name)
        for model in pkgutil.iter_modules(spec.submodule_search_locations if spec else None, modality.name + "."):
            if model.ispkg and find_spec(f"{model.name}.train") is not None:
                found[model.name.rpartition(".")[2]] = f"{model.name}.train"
    return found
