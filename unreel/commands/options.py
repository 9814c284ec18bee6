"""`-i name=value` and `--start`: from what a user types to what a session takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.modalities.media.start import load_start

# Session options and what each may be.
SESSION: dict[str, tuple[type, ...]] = {
    "offset": (int,),
    "commit": (str,),
    "sampler": (str,),
    "guidance": (int, float),
    "context": (str, dict),
    "reuse": (str, dict),
    "rewind": (int,),
    "prompt_switch": (str, dict),
}
KINDS = {int: "a whole number", float: "a number", str: "a word", dict: "options (NAME.OPTION=VALUE)"}
START_CHUNKS = 16  # most chunks taken of a start clip


def parse_inputs(texts: Sequence[str]) -> dict[str, Any]:
    """``["offset=2", "context.recent=4"]`` to ``{"offset": 2, "context": {"recent": 4}}``. Values are read as YAML."""
    inputs: dict[str, Any] = {}
    for text in texts:
        name, equals, raw = text.partition("=")
        path = name.strip().split(".")
        if not equals or not all(path):
            raise UserError(f"an input is NAME=VALUE, as in offset=2 or context.recent=4; got {text!r}")
        try:
            value = raw if path in (["prompt"], ["text"]) else yaml.safe_load(raw)  # words may hold a colon, or be "no"
        except yaml.YAMLError:
            raise UserError(f"the value of {name} is not a number, a word or a list: got {raw!r}") from None
        place = inputs
        for part in path[:-1]:
            place = place.setdefault(part, {})
            if not isinstance(place, dict):
                raise UserError(f"{name} was given twice, once as a word and once with options: use {part}.class=WORD")
        place[path[-1]] = value
    return inputs


def split_inputs(inputs: dict[str, Any], model: Model, own: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Session options, and the model's ``own`` inputs; UserError for a name that is neither."""
    unknown = [name for name in inputs if name not in SESSION and name not in own]
    if unknown:
        raise UserError(f"{model.name} takes the inputs {', '.join([*SESSION, *own])}; got {', '.join(unknown)}")
    options = {name: value for name, value in inputs.items() if name in SESSION}
    for name, value in options.items():
        if not isinstance(value, SESSION[name]) or isinstance(value, bool):
            expected = " or ".join(KINDS[kind] for kind in SESSION[name])
            raise UserError(f"the input {name} must be {expected}, got {value!r}")
    return options, {name: value for name, value in inputs.items() if name in own}


def parse_start(text: str | None, model: Model, fit: Literal["exact", "crop"], note: Callable[[str], None]) -> Any:
    """What ``Model.session`` takes as ``start``: None, ``"nothing"``, a seed clip's number, or frames of a file."""
    if text is None or text == "nothing":
        return text
    if text.isdigit() and not Path(text).exists():
        return int(text)
    height, width = model.frame_size
    chunk = model.frames_per_chunk
    return load_start(text, START_CHUNKS * chunk, height, width, least=chunk, fit=fit, note=note)
