"""Recordings: one MP4 (or GLB) per session, written by a thread of its own, readable while it grows.

A file is named after its session's random id, inside a folder of the server's own: nothing a client sends is ever
part of a path. While a session runs, ``part`` copies what is complete so far; afterwards the file has its index
in front.
"""

from __future__ import annotations

import logging
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from unreel.modalities.media.export import open_exporter
from unreel.modalities.media.spherical import write_spherical
from unreel.modalities.media.writer import FrameWriter
from unreel.streaming.glb import GlbRecording

log = logging.getLogger("unreel.streaming")
WAITING = 64  # chunks

Writer = FrameWriter | GlbRecording
Open = Callable[[Path, float], Writer]


@dataclass
class Film:
    """One recording. ``complete`` bytes of the growing file are whole; ``done`` once it has its final form."""

    path: Path
    writer: Writer | None = None
    complete: int = 0
    frames: int = 0
    failed: bool = False
    done: threading.Event = field(default_factory=threading.Event)
    finished_at: float = 0.0


class Recordings:
    """``folder`` None makes a temporary one, removed by ``stop``. ``keep_s`` and ``keep_bytes`` bound what stays;
    a single film that reaches ``keep_bytes`` ends there.
    """

    def __init__(
        self,
        folder: Path | None = None,
        keep_s: float = 3600.0,
        keep_bytes: int = 2_000_000_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._temporary = folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="unreel-")) if folder is None else folder
        self.folder.mkdir(parents=True, exist_ok=True)
        self.keep_s, self.keep_bytes, self.clock = keep_s, keep_bytes, clock
        self.films: dict[str, Film] = {}
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="scribe", daemon=True)
        self._aside: list[threading.Thread] = []

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Finish every film, then end the thread; a temporary folder is removed."""
        self._queue.put(self._finish_all)
        self._queue.put(None)
        for thread in (self._thread, *self._aside):
            thread.join()
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def write(self, id: str, frames: Any, fps: float, open: Open = open_exporter, suffix: str = ".mp4") -> None:
        """Append a chunk, as its writer takes it; blocks while the disk is too slow.

        ``open`` makes the writer of a new film, ``suffix`` is that of its file.
        """
        self._queue.put(lambda: self._write(id, frames, fps, open, suffix))

    def finish(self, id: str, then: Callable[[], None] = lambda: None) -> None:
        """No more chunks come: give the file its final form, then call ``then`` (on another thread)."""
        self._queue.put(lambda: self._finish(id, then, aside=True))

    def ready(self, id: str) -> bool:
        """Whether the film is in its final form."""
        return id in self.films and self.films[id].done.is_set() and not self.films[id].failed

    def copy_part(self, id: str, target: Path) -> bool:
        """Copy what a running session has so far: a fragmented MP4 of whole fragments, a GLB. False: nothing yet."""
        film = self.films.get(id)
        writer = None if film is None else film.writer
        if film is None or writer is None or film.complete == 0:
            return False
        if isinstance(writer, GlbRecording):
            return writer.snapshot(target)
        with writer.part.open("rb") as source, target.open("wb") as out:
            left = film.complete
            while left > 0 and (block := source.read(min(left, 1 << 20))):
                out.write(block)
                left -= len(block)
        spherical = getattr(writer, "spherical", None)
        if spherical is not None:  # its own part gets it at the end
            write_spherical(target, spherical)
        return True

    def prune(self) -> None:
        """Drop what is too old; called now and then."""
        if not self._queue.full():
            self._queue.put(self._prune)

    def drop(self, id: str) -> None:
        """Forget a film and delete its file, finished or not."""
        self._queue.put(lambda: self._drop(id))

    # ---- on the scribe's thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                task()
            except Exception:
                log.exception("a recording failed")

    def _write(self, id: str, frames: Any, fps: float, open: Open, suffix: str) -> None:
        film = self.films.get(id)
        if film is None:
            path = self.folder / f"{id}{suffix}"
            film = self.films[id] = Film(path, open(path, fps))
        if film.failed or film.writer is None:
            return
        try:
            film.writer.write(frames)
        except Exception:
            film.failed = True
            raise
        film.frames += len(frames)
        writer = film.writer
        film.complete = writer.held if isinstance(writer, GlbRecording) else writer.part.stat().st_size
        if film.complete >= self.keep_bytes:
            log.warning("the recording of session %s is full", id[:6])
            self._finish(id)

    def _finish_all(self) -> None:
        for id in list(self.films):
            self._finish(id)

    def _finish(self, id: str, then: Callable[[], None] = lambda: None, aside: bool = False) -> None:
        """``aside``: a GLB, whose skin may take seconds, is made on its own thread, since other films wait here."""
        film = self.films.get(id)
        writer = None if film is None else film.writer
        if film is None or writer is None:
            then()
            return self._prune()
        film.writer = None
        if aside and isinstance(writer, GlbRecording):
            thread = threading.Thread(target=self._close, args=(film, writer, then), name="binder", daemon=True)
            self._aside = [*(one for one in self._aside if one.is_alive()), thread]
            thread.start()
        else:
            self._close(film, writer, then)
        self._prune()

    def _close(self, film: Film, writer: Writer, then: Callable[[], None]) -> None:
        try:
            writer.close()
        except Exception:
            film.failed = True
            log.exception("a recording could not be finished")
        finally:
            film.finished_at = self.clock()
            film.done.set()
            if self.films.get(film.path.stem) is not film:  # dropped meanwhile
                film.path.unlink(missing_ok=True)
            then()

    def _prune(self) -> None:
        """Drop films that are too old, and the oldest while all together are too big."""
        over = [(film.finished_at, id) for id, film in self.films.items() if film.done.is_set()]
        total = sum(film.path.stat().st_size for film in self.films.values() if film.path.exists())
        for when, id in sorted(over):
            if self.clock() - when <= self.keep_s and total <= self.keep_bytes:
                break
            film = self.films[id]
            total -= film.path.stat().st_size if film.path.exists() else 0
            self._drop(id)

    def _drop(self, id: str) -> None:
        film = self.films.pop(id, None)
        if film is not None:
            if film.writer is not None:
                film.writer.close()
            film.path.unlink(missing_ok=True)
