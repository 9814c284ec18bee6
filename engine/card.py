"""The model card: ``model.yaml``, read with ``yaml.safe_load`` and checked before anything is built."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unreel.engine.errors import UserError


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Media(_Part):
    """What comes out: frames per second and, for pictures, pixels."""

    fps: float = Field(gt=0)
    height: int = Field(gt=0)
    width: int = Field(gt=0)


class ScheduleCard(_Part):
    """Defaults of ``Schedule``; ``offset`` null is block by block."""

    steps: int = Field(default=4, ge=1)
    offset: int | None = Field(default=None, ge=0)
    commit: str = "extra"


class GuidanceCard(_Part):
    scale: float = 1.0
    drop: tuple[str, ...] = ("action", "text")


class Card(_Part):
    """One model. ``architecture``, ``codec``, ``sampler``, ``context``, ``reuse``, ``ending``, each of ``conditions``:
    ``{class: NAME, ...options}``; an option that begins with ``./`` is a file or folder beside the weights.
    ``residuals`` of a forecast's output are the errors at each frame ahead that the spread of samples does not tell.
    ``training`` is a record for readers: data, licence, steps, loss, command."""

    name: str
    modality: str
    description: str = ""
    licence: str
    architecture: dict[str, Any]
    codec: dict[str, Any]
    media: Media
    plan: dict[str, Any] = {"class": "time", "frames": 1}
    schedule: ScheduleCard = ScheduleCard()
    sampler: dict[str, Any] = {"class": "euler"}
    guidance: GuidanceCard = GuidanceCard()
    context: dict[str, Any] = {"class": "full"}
    reuse: dict[str, Any] = {"class": "none"}
    conditions: dict[str, dict[str, Any]] = {}
    ending: dict[str, Any] | None = None
    prompt_switch: str | dict[str, Any] = "recache"
    presets: dict[str, dict[str, Any]] = {}
    weights: str | None = None
    seeds: str | None = None
    reward: str | None = None
    residuals: dict[str, list[float]] = {}
    training: dict[str, Any] = {}


def read_card(path: Path) -> Card:
    """The checked card at ``path``.

    Raises:
        UserError: the file is missing, is not YAML, or a field is unknown, missing or of the wrong kind.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the model card {path}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        line = " ".join(str(error).split())
        raise UserError(f"{path} is not valid YAML: {line}") from None
    if not isinstance(content, dict):
        raise UserError(
            f"{path} must hold a mapping with name, modality, architecture, ...; got {type(content).__name__}"
        )
    try:
        return Card.model_validate(content)
    except ValidationError as error:
        faults = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:3])
        raise UserError(f"{path} is not a model card: {faults}") from None


def located(options: Any, folder: Path) -> Any:
    """``options`` with every ``./name`` in them as a path in ``folder``."""
    if isinstance(options, dict):
        return {name: located(value, folder) for name, value in options.items()}
    if isinstance(options, str) and options.startswith("./"):
        return str(folder / options)
    return options
