"""What every video file writer shares: checks before the first frame, the partial file, the clean end.

A file under its own name is always whole. Until then everything goes to ``NAME.part`` beside it:

    all went well, or Ctrl-C   closed, then moved to NAME in one step
    another exception          ``NAME.part`` is closed and stays, NAME is not touched
    killed                     ``NAME.part`` stays as it was on disk
    no frame was written       nothing stays
"""

from __future__ import annotations

import math
import os
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames, check_frames

MIN_HEIGHT = 384  # pixels; smaller frames are shown enlarged unless told otherwise


def auto_scale(height: int) -> int:
    """The smallest whole factor that makes a frame at least 384 pixels high; 1 for frames of 240 and more."""
    return 1 if height >= 240 else math.ceil(MIN_HEIGHT / height)


class FrameWriter(ABC):
    """Writes frames to one file as they come. Use as a context manager; see the module for what an end leaves.

    ``fps`` is frames per second; ``scale`` is a whole factor, by nearest pixel, or None for ``auto_scale``.
    Raises UserError at once when the file cannot be written. ``frames`` counts what was written and ``seconds``
    is the time spent in ``write`` and ``close``.
    """

    suffixes: tuple[str, ...] = ()

    def __init__(self, path: str | os.PathLike[str], fps: float, scale: int | None = None) -> None:
        self.path = Path(path)
        self.part = self.path.with_name(self.path.name + ".part")
        self.fps = check_fps(fps)
        if scale is not None and scale < 1:
            raise UserError(f"scale must be a whole number of 1 or more, got {scale}")
        self.scale = scale
        self.frames = 0
        self.seconds = 0.0
        self.size: tuple[int, int] | None = None  # height, width of what is sent in
        self.closed = False
        check_writable(self.path, self.part)

    def write(self, frames_THWC: Frames) -> None:
        """Append frames; all must have the size of the first."""
        began = time.perf_counter()
        frames = check_frames(frames_THWC, self.size)
        if self.closed:
            raise UserError(f"{self.path} is closed; open a new file to write more frames")
        if self.size is None and len(frames):
            height, width = frames.shape[1:3]
            self.scale = self.scale or auto_scale(height)
            self._open(height, width)
            self.size = (height, width)
        for frame_HWC in frames:
            self._write(frame_HWC)
            self.frames += 1
        self.seconds += time.perf_counter() - began

    def close(self, *, keep: bool = True) -> None:
        """Finish. ``keep`` moves the file to its own name; otherwise it stays, whole, as ``NAME.part``."""
        if self.closed:
            return
        self.closed = True
        began = time.perf_counter()
        if self.size is None:
            self._discard()
        else:
            self._finish(keep)
        self.seconds += time.perf_counter() - began

    def __enter__(self) -> FrameWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(keep=kind is None or issubclass(kind, (KeyboardInterrupt, GeneratorExit)))

    def _discard(self) -> None:
        """Remove what was made before the first frame."""
        self.part.unlink(missing_ok=True)

    @abstractmethod
    def _open(self, height: int, width: int) -> None:
        """Called once, with the size of the first frames, before ``_write``; ``self.scale`` is known by then."""

    @abstractmethod
    def _write(self, frame_HWC: Frames) -> None:
        """Append one frame, number ``self.frames``, of the checked size to ``self.part``."""

    @abstractmethod
    def _finish(self, keep: bool) -> None:
        """Close ``self.part`` and, when ``keep``, move it to ``self.path``. Called once, after ``_open``."""


def check_fps(fps: float) -> float:
    """``fps`` as a float above 0 and at most 1000, or UserError."""
    if not 0 < fps <= 1000:
        raise UserError(f"fps must be above 0 and at most 1000, got {fps}")
    return float(fps)


def check_writable(path: Path, part: Path) -> None:
    """UserError when ``path`` cannot be written; leaves an empty ``part`` behind when it can."""
    if not path.parent.is_dir():
        raise UserError(f"cannot write {path}: there is no folder {path.parent}; create it or choose another place")
    if path.is_dir():
        raise UserError(f"cannot write {path}: it is a folder; give a file name")
    if path.exists() and not os.access(path, os.W_OK):
        raise UserError(f"cannot write {path}: the file is write-protected; choose another name")
    try:
        part.write_bytes(b"")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; choose another place") from None
