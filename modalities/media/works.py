"""What a modality offers to the commands: typed inputs made into controls, and who writes down what comes out.

Every modality has a module ``works`` with ``inputs`` and ``order``. Those that make frames have ``exporter`` and
``collector`` as well (``FilmWorks``); those whose sessions end by themselves and make one thing (a rig) have ``maker``
(``MakerWorks``).
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

    ``film`` are options of the exporter, ``start`` is what the session begins with. ``things`` is what the chunks of a
    session are counted as; anything but frames is made until the plan ends.
    """

    controls: Mapping[str, Any] = field(default_factory=dict)
    frames: int | None = None
    fps: float | None = None
    film: Mapping[str, Any] = field(default_factory=dict)
    things: str = "frames"
    start: Any = None


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


class Maker(Protocol):
    """Makes one thing of all that a session emits and writes it on leaving its ``with``, unless that is by an error.

    ``whole``: nothing needs to be generated. ``made`` counts things so far; ``seconds`` is the time spent on the file.
    """

    path: Path
    seconds: float

    @property
    def whole(self) -> bool: ...

    @property
    def made(self) -> int: ...

    def add(self, event: Event) -> None:
        """Take one event."""
        ...

    def told(self) -> str:
        """A line about what was written."""
        ...

    def __enter__(self) -> Maker: ...

    def __exit__(self, *fault: Any) -> None: ...


class Works(Protocol):
    """A modality's module ``works``: what both kinds have."""

    def inputs(self, model: Model) -> list[str]:
        """The names of the inputs that the model takes besides the options of a session."""
        ...

    def order(self, model: Model, inputs: Mapping[str, Any], note: Note) -> Order:
        """Raises UserError for an input that cannot be used."""
        ...


class FilmWorks(Works, Protocol):
    """Of a modality that makes frames."""

    def exporter(self, path: Path, model: Model, order: Order, fps: float, scale: int | None, frames: int) -> Exporter:
        """A writer for at most ``frames`` frames; raises UserError at once for a file it cannot write."""
        ...

    def collector(self, model: Model) -> Callable[[Event], Frames | None]:
        """The same frames without a file."""
        ...


class MakerWorks(Works, Protocol):
    """Of a modality that makes one thing."""

    def maker(self, path: Path, model: Model, order: Order, fps: float) -> Maker:
        """Raises UserError at once for a file it cannot write."""
        ...
