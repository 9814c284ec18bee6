"""Plots of bench results; they need matplotlib (``pip install unreel[bench]``) and are left out without it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any


def lines(
    path: Path, title: str, axes: tuple[str, str], series: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> bool:
    """One line per name. False where matplotlib is missing."""
    return _draw(path, title, axes, lambda ax: [ax.plot(x, y, label=name, lw=1.6) for name, (x, y) in series.items()])


def points(
    path: Path, title: str, axes: tuple[str, str], series: Mapping[str, tuple[Sequence[float], Sequence[float]]]
) -> bool:
    """One marked line per name, for settings along a trade."""
    return _draw(
        path, title, axes, lambda ax: [ax.plot(x, y, "o-", label=name, ms=5) for name, (x, y) in series.items()]
    )


def _draw(path: Path, title: str, axes: tuple[str, str], paint: Any) -> bool:
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, ax = pyplot.subplots(figsize=(8, 4.5), dpi=110)
    ax.set_prop_cycle(color=pyplot.get_cmap("tab20").colors)
    paint(ax)
    ax.set(title=title, xlabel=axes[0], ylabel=axes[1])
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)
    figure.tight_layout()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    pyplot.close(figure)
    return True
