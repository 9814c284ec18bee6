"""Markdown tables, and putting them between markers of a document."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

import torch

from unreel.benchmarks import _clock
from unreel.engine.errors import UserError
from unreel.report import processor


def markdown(head: Sequence[str], body: Sequence[Sequence[str]]) -> str:
    """A table; the first column left, all others right."""
    rule = ["---", *("---:" for _ in head[1:])]
    return "\n".join("| " + " | ".join(row) + " |" for row in (head, rule, *body))


def ratio(spread: dict[str, float]) -> str:
    """``2.41x (2.30-2.52)``."""
    return f"{spread['median']:.2f}x ({spread['min']:.2f}-{spread['max']:.2f})"


def megabytes(count: float) -> str:
    return f"{count / 1e6:.2f}" if count < 1e8 else f"{count / 1e6:.0f}"


def setting() -> dict[str, Any]:
    """When and on what: stands above every table."""
    return {
        "date": date.today().isoformat(),
        "processor": processor(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "clock": _clock.name(),
        "torch": torch.__version__,
    }


def caption(where: dict[str, Any]) -> str:
    machine = f"{where['processor']}, {where['threads']} thread(s), {where['clock']}"
    return f"{where['date']}, {machine}, torch {where['torch']}."


def insert(path: Path, name: str, text: str) -> None:
    """Replace what lies between ``<!-- bench:NAME -->`` and ``<!-- /bench:NAME -->`` in a document.

    Raises:
        UserError: the document or its markers are missing.
    """
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    try:
        content = path.read_text(encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if begin not in content or end not in content.partition(begin)[2]:
        raise UserError(f"{path} has no place for this table: put {begin} and {end} on lines of their own")
    before, _, rest = content.partition(begin)
    after = rest.partition(end)[2]
    part = path.with_name(path.name + ".part")
    part.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")
    os.replace(part, path)
