"""Everything that stands in the README: reuse, context, geometry and endless."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

NAMES = ("reuse", "context", "geometry", "endless")


def run(quick: bool = False) -> dict[str, Any]:
    return {name: _module(name).run(quick=quick) for name in NAMES}


def table(results: dict[str, Any]) -> str:
    return "\n\n".join(f"### {name}\n\n{_module(name).table(results[name])}" for name in NAMES)


def tables(results: dict[str, Any]) -> dict[str, str]:
    """Each benchmark's table by its name, for documents with a place for each."""
    return {name: _module(name).table(results[name]) for name in NAMES}


def plots(results: dict[str, Any], folder: Path) -> list[Path]:
    drawing = [name for name in NAMES if hasattr(_module(name), "plots")]
    return [path for name in drawing for path in _module(name).plots(results[name], folder)]


def _module(name: str) -> Any:
    return import_module(f"unreel.benchmarks.{name}")
