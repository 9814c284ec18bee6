"""Wan with the other parts of the engine: every context, reuse, storage, budget, dtype; forks and rewinds."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")
pytest.importorskip("transformers", reason="needs the extra [wan]: transformers")

import torch
from tiny_wan import sidecar, write_layout

import unreel
from unreel.engine.model import Model
from unreel.engine.session import Session

STATIC = [[0], [0]]
CONTEXTS: dict[str, dict[str, Any]] = {
    "window": {"class": "window", "sink": 1, "recent": 2, "horizon": 9},
    "int8": {"class": "window", "sink": 1, "recent": 2, "horizon": 9, "storage": "int8"},
    "importance": {"class": "importance-redundancy", "sink": 1, "recent": 3, "bank": 2.0, "horizon": 18},
    "heads": {"class": "heads", "static": STATIC, "sink": 1, "recent": 3, "bank": 1.0, "tile": [1, 2], "horizon": 18},
    "hybrid": {"class": "hybrid", "static": STATIC, "sink": 1, "recent": 3, "bank": 1.0, "horizon": 18},
    "budget": {"class": "hybrid", "static": STATIC, "sink": 1, "recent": 3, "bank": None, "budget_bytes": 120_000},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(write_layout(tmp_path_factory.mktemp("wan") / "krea", "krea"))


@pytest.fixture(scope="module")
def model(folder: Path) -> Model:
    return unreel.load(folder, device="cpu", dtype="float32")


def film(session: Session, chunks: int) -> list[Any]:
    return [event.payload for event in session.stream(chunks=chunks)]


@pytest.mark.parametrize("name", CONTEXTS)
@pytest.mark.parametrize("how", ["recache", "swap", "blend"])
def test_every_context_and_every_prompt_switch(model: Model, name: str, how: str) -> None:
    session = model.session(seed=1, context=CONTEXTS[name], prompt_switch=how, steps=2, rewind=2)
    session.send("prompt", "a red fox")
    before = film(session, 6)
    session.send("prompt", "blue")
    after = film(session, 4)
    assert all(part.shape == (12, 32, 48, 3) for part in [*before[1:], *after])
    held = session.context_bytes
    film(session, 3)
    assert session.context_bytes <= CONTEXTS[name].get("budget_bytes", 1.2 * held)


@pytest.mark.parametrize("reuse", ["flowcache", "timestep", "teacache"])
def test_reuse_skips_and_the_film_goes_on(model: Model, reuse: str) -> None:
    """With Euler: fresh noise in every step, as the few-step models have it, leaves nothing to be reused."""
    session = model.session(seed=1, reuse={"class": reuse, "threshold": 0.5}, steps=8, sampler="euler")
    session.send("prompt", "a red fox")
    film(session, 3)
    assert session.stats.steps_reused > 0
    assert session.stats.commit_rows == 2  # never skipped


def test_rewind_and_fork_take_the_decoder_along(model: Model) -> None:
    session = model.session(seed=1, steps=1)
    session.send("prompt", "a red fox")
    film(session, 2)
    fork = session.fork()
    expected = film(session, 2)
    assert all((a == b).all() for a, b in zip(expected, film(fork, 2), strict=True))
    session.rewind(1)
    assert all((a == b).all() for a, b in zip(expected, film(session, 2), strict=True))
    session.send("reset")
    assert [len(part) for part in film(session, 2)] == [9, 12]


def test_bfloat16_is_close_to_float32(folder: Path, model: Model) -> None:
    half = unreel.load(folder, device="cpu", dtype="bfloat16")
    clean = []
    for one in (model, half):
        session = one.session(seed=1, context="full")
        session.send("prompt", "a red fox")
        clean.append(session.state.past[next(iter(session.stream(chunks=1))).chunk.index].clean)
    assert (clean[0] - clean[1]).abs().mean() < 0.02 * clean[0].abs().mean()


def test_offload_is_an_option_of_the_sidecar(tmp_path: Path, model: Model) -> None:
    folder = write_layout(tmp_path / "krea", "krea")
    sidecar(folder, card={"architecture": {"offload": True}})
    made = unreel.load(folder, device="cpu", dtype="float32")
    films = []
    for one in (model, made):
        session = one.session(seed=1)
        session.send("prompt", "a fox")
        films.append(film(session, 1)[0])
    assert abs(films[0].astype(int) - films[1].astype(int)).max() <= 1
    assert isinstance(made.backbone, torch.nn.Module)
