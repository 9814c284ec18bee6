"""`unreel.export`: what a session emits, or plain frames, into a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from unreel.engine.errors import UserError
from unreel.modalities.media.export import Exported
from unreel.modalities.media.export import export as export_frames
from unreel.modalities.media.frames import Frames
from unreel.modalities.motion.film import open_motion
from unreel.modalities.motion.poses import Poses
from unreel.modalities.panorama.film import open_film
from unreel.modalities.panorama.patch import FacePatch


def export(
    source: Frames | Iterable[Any], path: str | os.PathLike[str], fps: float, scale: int | None = None
) -> Exported:
    """Write ``source`` to ``path`` as it comes and return what was written.

    ``source`` is an array uint8 (time, height, width, 3), an iterable of such arrays, or the events of a session. Faces
    of a panorama become a 360-degree film; poses a .glb of a plain figure, a .bvh, an .npz or a film. ``fps`` is frames
    per second, ``scale`` a whole factor for small pictures.
    Ctrl-C ends the film early and is raised again after the file is whole.

    Raises:
        UserError: a place or a kind of file that cannot be written, or nothing to write.
    """
    if isinstance(source, np.ndarray):
        return export_frames(source, path, fps, scale)
    items = iter(source)
    first = next(items, None)
    if first is None:
        raise UserError(f"cannot write {path}: there was no frame to write")
    events = chain([first], items)
    if isinstance(getattr(first, "payload", None), Poses):
        return _export_motion(events, Path(path), fps)
    if not isinstance(getattr(first, "payload", None), FacePatch):
        return export_frames(events, path, fps, scale)
    height = None if scale is None else 2 * scale * first.payload.height
    with open_film(path, fps, height=height) as film:
        for event in events:
            film.add(event)
    if not film.frames:
        raise UserError(f"cannot write {path}: no window was whole (six faces make one)")
    return Exported(film.path, film.frames, film.seconds)


def _export_motion(events: Iterable[Any], path: Path, fps: float) -> Exported:
    with open_motion(path, fps) as writer:
        for event in events:
            writer.add(event)
    return Exported(writer.path, writer.frames, writer.seconds)
