"""`unreel inspect`: what one model is, made of and trained on; or what a film says of itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from torch import nn

from unreel import catalogue
from unreel.commands.convert import published_facts, told
from unreel.engine.card import Card
from unreel.engine.model import Model
from unreel.modalities.media.facts import FILMS, film_facts, film_lines

SHOWN = (
    "plan", "schedule", "sampler", "guidance", "context", "reuse", "architecture", "codec", "ending", "presets",
    "training",
)  # fmt: skip


def inspect(
    model: Annotated[str, typer.Argument(help="A model's name, the path of its folder, or a film (.mp4, .webm, ...).")],
    as_json: Annotated[bool, typer.Option("--json", help="Print everything as JSON.")] = False,
) -> None:
    """Show what a model is: size, frames, actions, defaults, licence and training record.

    Loads it, so a broken card or broken weights are found here. Of published files (docs/checkpoints.md) it tells the
    family, the layout, the sizes, and keys that are missing or unexpected.

    Of a film it tells codec, size, time, colours, and whether players will show it around the viewer (360 degrees).

    Example:  unreel inspect dream

    Example:  unreel inspect pano.mp4
    """
    if Path(model).suffix.lower() in FILMS and not Path(model).is_dir():
        film = film_facts(model)
        print(json.dumps(film, indent=2) if as_json else "\n".join(film_lines(model, film)))
        return
    if (facts := published_facts(model)) is not None:
        print(json.dumps(facts, indent=2) if as_json else told(facts))
        return
    loaded = catalogue.load(model)
    if as_json:
        print(json.dumps({**loaded.card.model_dump(), **_measured(loaded)}, indent=2, default=str))
        return
    print(f"{loaded.name}: {loaded.card.description or 'no description'}")
    for name, value in {**_facts(loaded.card), **_measured(loaded)}.items():
        print(f"  {name:<12} {_plain(value)}")
    for name in SHOWN:
        value = loaded.card.model_dump()[name]
        if value:
            print(f"  {name:<12} {_plain(value)}")


def _facts(card: Card) -> dict[str, Any]:
    media = card.media
    return {
        "modality": card.modality,
        "licence": card.licence,
        "frames": f"{media.width}x{media.height} pixels at {media.fps:g} per second",
    }


def _measured(model: Model) -> dict[str, Any]:
    assert isinstance(model.backbone, nn.Module), "a loaded backbone is a network"
    clips = model.seeds.get("frames")
    return {
        "controls": ", ".join(model.controls) or "none",
        "actions": list(model.actions),
        "parameters": sum(p.numel() for p in model.backbone.parameters()),
        "chunk_frames": model.frames_per_chunk,
        "seed_clips": 0 if clips is None else len(clips),
    }


def _plain(value: Any) -> str:
    """One line for any value: 1,234; a, b; key=value, key=value."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(f"{k}={f'({_plain(v)})' if isinstance(v, dict) else _plain(v)}" for k, v in value.items())
    if isinstance(value, list | tuple):
        return " ".join(_plain(v) for v in value) or "none"
    return str(value)
