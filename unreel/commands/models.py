"""`unreel models`: what can be loaded by name."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from unreel import catalogue


def models() -> None:
    """List the models that can be loaded by name.

    Any other model is given as the path of its folder (model.yaml and *.safetensors).

    Example:  unreel models
    """
    console = Console()
    cards = catalogue.models()
    if not cards:
        console.print("no model is installed; any folder with a model.yaml and *.safetensors can be given by its path")
        return
    table = Table("name", "modality", "frames", "licence", "what it is", box=None, pad_edge=False)
    for name, card in cards.items():
        media = card.media
        size = f"{media.width}x{media.height} at {media.fps:g}/s"
        table.add_row(name, card.modality, size, card.licence, card.description)
    console.print(table)
