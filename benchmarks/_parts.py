"""Benches in parts: results that are completed part by part, in numbers that JSON can hold."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

from unreel.engine.errors import UserError
from unreel.report import write_json


def chosen(what: str, parts: Sequence[str], known: Collection[str]) -> list[str]:
    """The parts to measure: those asked for, else all. UserError for a part of no name."""
    unknown = [part for part in parts if part not in known]
    if unknown:
        raise UserError(f"{what} has no part {', '.join(unknown)}: it has {', '.join(known)}")
    return list(parts or known)


def completed(
    names: Sequence[str],
    path: Path | None,
    keep: bool,
    measure: Callable[[str], dict[str, Any]],
    about: Callable[[dict[str, Any]], dict[str, Any]],
) -> dict[str, Any]:
    """The results of parts, each written to ``path`` as it comes; ``keep`` those of other parts that it holds already.

    ``about`` is told all results so far and says what stands beside them.
    """
    results = before(path) if keep and path is not None and path.exists() else {}
    for name in names:
        results[name] = plain(measure(name))
        results |= about(results)
        if path is not None:
            write_json(path, results)
    return results


def before(path: Path) -> dict[str, Any]:
    """The results of earlier parts. UserError for a file that holds none."""
    try:
        found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} does not hold results to be completed: {error}") from None
    return found


def plain(found: Any) -> Any:
    """Numbers that are none become None, which JSON can hold."""
    if isinstance(found, dict):
        return {name: plain(value) for name, value in found.items()}
    if isinstance(found, list | tuple):
        return [plain(value) for value in found]
    return None if isinstance(found, float) and not math.isfinite(found) else found
