"""What a modality offers to the commands: typed inputs made into controls, and who writes down what comes out.

Every modality has a module ``works`` with ``inputs``, ``order``, ``exporter`` and ``collector`` as ``Works`` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.modalities.media.frames import Frames

Note = Callable[[str], None]  # tells the user something, one line


@dataclass(frozen=True)
class Order:
    """What inputs ask for: controls to send first, and, where they decide it, how many frames at what rate.

    ``film`` are options of the exporter.
    """

    controls: Mapping[str, Any] = field(default_factory=dict)
    frames: int | None = None
    fps: float | None = None
    film: Mapping[str, Any] = field(default_factory=dict)


class Exporter(Protocol):
    """Writes what a session emits into a file as it comes; a context manager. The file is whole under its own name."""

    path: Path
    frames: int
    seconds: float
    fps: float
    scale: int | None
    size: tuple[int, int] | None

    def add(self, event: Event) -> Frames | None:
        """Take one event; the frames that this added to the film, if any."""
        ...

    def __enter__(self) -> Exporter: ...

    def __exit__(self, *fault: Any) -> None: ...


class Works(Protocol):
    """A modality's module ``works``."""

    def inputs(self, model: Model) -> list[str]:
        """The names of the inputs that the model takes besides the options of a session."""
        ...

    def order(self, model: Model, inputs: Mapping[str, Any], note: Note) -> Order:
        """Raises UserError for an input that cannot be used."""
        ...

    def exporter(self, path: Path, model: Model, order: Order, fps: float, scale: int | None, frames: int) -> Exporter:
        """A writer for at most ``frames`` frames; raises UserError at once for a file it cannot write."""
        ...

    def collector(self, model: Model) -> Callable[[Event], Frames | None]:
        """The same frames without a file."""
        ...
