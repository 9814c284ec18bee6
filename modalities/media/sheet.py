"""Contact sheets: rows of frames side by side, such as real above dreamt."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames, check_frames
from unreel.modalities.media.writer import check_writable

PAD, LABEL, INK, PAPER = 4, 14, (30, 30, 30), (255, 255, 255)  # pixels, pixels, RGB, RGB


def contact_sheet(
    rows: Mapping[str, Frames],
    path: str | os.PathLike[str] | None = None,
    *,
    times: list[int] | None = None,
    columns: int = 8,
    scale: int = 2,
) -> Frames:
    """A picture (height, width, 3) with one labelled row per clip, written to ``path`` as a PNG when given.

    ``times`` are the frame indices shown, named above each column; None takes ``columns`` evenly spaced ones of the
    shortest clip, its first and last among them. ``scale`` enlarges by nearest pixel. Frames may differ in size.
    """
    if not rows:
        raise UserError("a contact sheet needs at least one row of frames")
    clips = {name: check_frames(frames, None) for name, frames in rows.items()}
    shortest = min(len(frames) for frames in clips.values())
    if times is None:
        times = sorted({round(t) for t in np.linspace(0, shortest - 1, min(columns, shortest))})
    if not times or max(times) >= shortest or min(times) < 0:
        raise UserError(f"contact sheet times must lie in 0..{shortest - 1}, got {times}")
    cell_width = max(frames.shape[2] for frames in clips.values()) * scale
    width = PAD + len(times) * (cell_width + PAD)
    height = LABEL + sum(LABEL + frames.shape[1] * scale + PAD for frames in clips.values())
    sheet = Image.new("RGB", (width, height), PAPER)
    draw = ImageDraw.Draw(sheet)
    for column, t in enumerate(times):
        draw.text((PAD + column * (cell_width + PAD), 1), f"frame {t}", fill=INK)
    top = LABEL
    for name, frames in clips.items():
        draw.text((PAD, top), name, fill=INK)
        top += LABEL
        for column, t in enumerate(times):
            frame = Image.fromarray(frames[t])
            frame = frame.resize((frame.width * scale, frame.height * scale), Image.Resampling.NEAREST)
            sheet.paste(frame, (PAD + column * (cell_width + PAD), top))
        top += frames.shape[1] * scale + PAD
    if path is not None:
        _save(sheet, Path(path))
    return np.asarray(sheet)


def _save(sheet: Image.Image, path: Path) -> None:
    part = path.with_name(path.name + ".part")
    check_writable(path, part)
    sheet.save(part, format="PNG")
    os.replace(part, path)
