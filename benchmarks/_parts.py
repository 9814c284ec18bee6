"""Benches in parts: results that are completed part by part, in numbers that JSON can hold."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from unreel.engine.errors import UserError


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
