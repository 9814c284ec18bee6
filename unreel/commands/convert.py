"""`unreel convert`: a published checkpoint to a folder of ours; and what `unreel inspect` says of one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from unreel.engine.errors import UserError
from unreel.modalities.video.wan import published


def convert(
    path: Annotated[Path, typer.Argument(help="Published weights: a file, or the folder it lies in.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="The folder to write; new or empty.")],
    preset: Annotated[str | None, typer.Option(help="The family, where the files do not tell.")] = None,
    base: Annotated[str | None, typer.Option(help="Where VAE and text encoder lie (Wan2.1-T2V-1.3B).")] = None,
    dtype: Annotated[str, typer.Option(help="Of the transformer: float32, bfloat16 or float16.")] = "bfloat16",
    heads: Annotated[int | None, typer.Option(help="Attention heads, where they are not 128 wide.")] = None,
    lora: Annotated[float | None, typer.Option(help="Strength of a LoRA beside the weights; 0 leaves it out.")] = None,
    size: Annotated[str | None, typer.Option(help="HEIGHTxWIDTH of a frame; default: the family's.")] = None,
) -> None:
    """Write a published checkpoint as model.yaml and safetensors, with its VAE and text encoder.

    Example:  unreel convert self_forcing_dmd.pt --base Wan2.1-T2V-1.3B -o self-forcing
    """
    from unreel.modalities.video.wan.convert import convert as write

    where = None if base is None else str(Path(base).resolve())
    wish = published.Wish(preset, where, heads, lora, None if size is None else _size(size))
    print(f"wrote {write(path, output, wish, dtype)}")


def _size(text: str) -> tuple[int, int]:
    height, cross, width = text.partition("x")
    if not (cross and height.isdigit() and width.isdigit()):
        raise UserError(f"--size is HEIGHTxWIDTH, as in 480x832; got {text!r}")
    return int(height), int(width)


def published_facts(name: str) -> dict[str, Any] | None:
    """What is known of published files; None if ``name`` is a model of ours."""
    return published.describe(published.read(Path(name))) if published.is_published(Path(name)) else None


def told(facts: dict[str, Any]) -> str:
    """One line for each fact."""
    lines = []
    for name, value in facts.items():
        if isinstance(value, list):
            value = f"{len(value)}: {', '.join(value[:8])}{', ...' if len(value) > 8 else ''}" if value else "none"
        lines.append(f"{name:<22} {value:,}" if isinstance(value, int) else f"{name:<22} {value}")
    return "\n".join(lines)
