"""The progress line: a bar, frames per second, time to the first frame and the time left; or a mere count."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


class FrameProgress:
    """A live line on stderr, nothing where stderr is no terminal. Use as a context manager."""

    def __init__(self, name: str, frames: int) -> None:
        console = Console(stderr=True)
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[speed]}"),
            TextColumn("first frame {task.fields[first]}"),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
            transient=True,
        )
        self._task = self._progress.add_task(name, total=frames, speed="", first="...")
        self._began: float | None = None
        self._done = 0

    def advance(self, frames: int, first_frame_s: float) -> None:
        """So many more frames are there; the speed shown counts from the first chunk on."""
        now = time.perf_counter()
        speed = f"{self._done / (now - self._began):.1f} frames/s" if self._began is not None and self._done else ""
        if self._began is None:
            self._began = now
        else:
            self._done += frames
        self._progress.update(self._task, advance=frames, speed=speed, first=f"{first_frame_s:.2f} s")

    def __enter__(self) -> FrameProgress:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.__exit__(kind, error, trace)


class Counting:
    """A live line on stderr for things whose number is not known before, nothing where stderr is no terminal."""

    def __init__(self, name: str, things: str) -> None:
        console = Console(stderr=True)
        self._things = things
        self._status = console.status(f"{name}: 0 {things}") if console.is_terminal else None
        self._name = name

    def show(self, made: int, first_s: float) -> None:
        """So many are there by now; the first came after ``first_s`` seconds."""
        if self._status is not None:
            self._status.update(f"{self._name}: {made} {self._things}, first after {first_s:.2f} s")

    def __enter__(self) -> Counting:
        if self._status is not None:
            self._status.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._status is not None:
            self._status.__exit__(kind, error, trace)
