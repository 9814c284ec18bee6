"""Pictures of forecasts: any output as colours, futures side by side, and how uncertainty grows and where it lies.

Letters: S samples, T frames, H and W pixels.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from unreel.modalities.media.frames import Frames, enlarge
from unreel.modalities.media.writer import check_writable

PAD, LABEL = 4, 15  # pixels
INK, DIM, PAPER = (235, 235, 235), (150, 150, 150), (24, 24, 28)
CELL = 192  # a picture is enlarged by a whole factor to about this height, in pixels
CLASS_COLOURS = np.array(
    [(70, 90, 160), (110, 85, 60), (190, 180, 165), (220, 70, 60), (80, 170, 90), (230, 180, 60), (150, 90, 180),
     (60, 180, 190)], dtype=np.uint8,
)  # fmt: skip
HEAT = np.array([(0, 0, 0), (90, 20, 110), (210, 60, 60), (250, 170, 40), (255, 255, 220)], dtype=np.float32)


def as_colours(name: str, values: NDArray[Any], top: float) -> Frames:
    """An output (..., H, W[, 3]) as uint8 colours (..., H, W, 3): depth in grey, near is bright, ``top`` is black."""
    if name == "rgb":
        return np.asarray(values, dtype=np.uint8)
    if name == "segmentation":
        return np.asarray(CLASS_COLOURS[values.astype(int) % len(CLASS_COLOURS)])
    grey = 255 * (1 - np.clip(values / max(top, 1e-9), 0, 1)) ** 0.5
    return np.repeat(grey.astype(np.uint8)[..., None], 3, axis=-1)


def as_heat(values: NDArray[Any], top: float) -> Frames:
    """Numbers (..., H, W) from 0 (black) to ``top`` (white) as colours."""
    at = np.clip(values / max(top, 1e-9), 0, 1) * (len(HEAT) - 1)
    low = np.minimum(at.astype(int), len(HEAT) - 2)
    share = (at - low)[..., None]
    return np.asarray((HEAT[low] * (1 - share) + HEAT[low + 1] * share).astype(np.uint8))


def grid(observed_THWC: Frames, futures_STHWC: Frames) -> Frames:
    """The observed clip and every future that goes on from it, side by side and labelled: (T, height, width, 3).

    All cells play the observed frames first; after them the first cell holds the last one.
    """
    past, horizon = len(observed_THWC), futures_STHWC.shape[1]
    scale = max(1, round(CELL / futures_STHWC.shape[2]))
    names = ["observed", *(f"future {n + 1:02d}" for n in range(len(futures_STHWC)))]
    columns = math.ceil(math.sqrt(len(names)))
    frames = []
    for t in range(past + horizon):
        ahead = t - past
        still = observed_THWC[min(t, past - 1)]
        cells = [still, *(still if ahead < 0 else future[ahead] for future in futures_STHWC)]
        when = "observed" if ahead < 0 else f"+{ahead + 1}"
        labels = [f"{name}  {when if ahead >= 0 and n else ''}" for n, name in enumerate(names)]
        frames.append(_sheet([enlarge(cell, scale) for cell in cells], labels, columns, ahead < 0))
    return np.stack(frames)


def _sheet(cells: Sequence[Frames], labels: Sequence[str], columns: int, past: bool) -> Frames:
    height, width = cells[0].shape[:2]
    rows = math.ceil(len(cells) / columns)
    size = (PAD + columns * (width + PAD), PAD + rows * (height + LABEL + PAD))
    sheet = Image.new("RGB", tuple(side + side % 2 for side in size), PAPER)
    draw = ImageDraw.Draw(sheet)
    for n, (cell, label) in enumerate(zip(cells, labels, strict=True)):
        left, top = PAD + n % columns * (width + PAD), PAD + n // columns * (height + LABEL + PAD)
        draw.text((left, top), label, fill=DIM if past and n else INK)
        sheet.paste(Image.fromarray(cell), (left, top + LABEL))
    return np.asarray(sheet)


def uncertainty_plot(maps: Mapping[str, NDArray[np.float32]], units: Mapping[str, str], path: Path) -> None:
    """A PNG: per output the mean of its uncertainty (T, H, W) over time as a line, and maps of it at eight times."""
    parts = [_uncertainty(name, one, units[name]) for name, one in maps.items()]
    width = max(part.width for part in parts)
    whole = Image.new("RGB", (width, sum(part.height for part in parts)), PAPER)
    top = 0
    for part in parts:
        whole.paste(part, (0, top))
        top += part.height
    part_path = path.with_name(path.name + ".part")
    check_writable(path, part_path)
    whole.save(part_path, format="PNG")
    os.replace(part_path, path)


def _uncertainty(name: str, map_THW: NDArray[np.float32], unit: str) -> Image.Image:
    frames = len(map_THW)
    times = sorted({round(t) for t in np.linspace(0, frames - 1, min(8, frames))})
    scale = max(1, round(96 / map_THW.shape[1]))
    cell_width, cell_height = map_THW.shape[2] * scale, map_THW.shape[1] * scale
    plot_height, margin = 150, 60
    width = max(margin + 480, PAD + len(times) * (cell_width + PAD)) + PAD
    picture = Image.new("RGB", (width, LABEL + plot_height + 2 * LABEL + cell_height + 3 * PAD), PAPER)
    draw = ImageDraw.Draw(picture)
    draw.text((PAD, 1), f"{name}: {unit}, mean over pixels by frames ahead", fill=INK)
    _curve(draw, map_THW.mean((1, 2)), (margin, LABEL + PAD, width - 2 * PAD, LABEL + plot_height))
    top, most = LABEL + plot_height + LABEL, float(np.quantile(map_THW, 0.995))
    for n, t in enumerate(times):
        left = PAD + n * (cell_width + PAD)
        draw.text((left, top), f"+{t + 1}", fill=DIM)
        picture.paste(Image.fromarray(enlarge(as_heat(map_THW[t], most), scale)), (left, top + LABEL))
    return picture


def _curve(draw: ImageDraw.ImageDraw, values: NDArray[np.float32], box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    most = float(values.max()) or 1.0
    draw.line([(left, top), (left, bottom), (right, bottom)], fill=DIM)
    for share in (0.0, 0.5, 1.0):
        draw.text((PAD, bottom - share * (bottom - top) - 6), f"{most * share:.3g}", fill=DIM)
    step = (right - left) / max(1, len(values) - 1)
    places = [(left + n * step, bottom - value / most * (bottom - top)) for n, value in enumerate(values)]
    draw.line(places if len(places) > 1 else places * 2, fill=(250, 170, 40), width=2)
    for n in sorted({0, len(values) // 2, len(values) - 1}):
        draw.text((min(left + n * step, right - 18), bottom + 2), f"+{n + 1}", fill=DIM)
