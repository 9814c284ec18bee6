"""Wan in sessions: endless, evicting, switching prompts, resumed, started from a picture, served."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")
pytest.importorskip("transformers", reason="needs the extra [wan]: transformers")

from tiny_wan import sidecar, write_layout

import unreel
from tests.streaming.live import LiveServer
from unreel.engine.attention import sdpa
from unreel.engine.model import Model
from unreel.engine.rng import normal
from unreel.engine.rope import rotate
from unreel.engine.session import Session

HORIZON, SPAN = 9, 3
WINDOW = {"class": "window", "sink": 1, "recent": 2, "horizon": HORIZON}
OLD, NEW = "a red fox runs", "blue"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return unreel.load(write_layout(tmp_path_factory.mktemp("wan") / "krea", "krea"), device="cpu", dtype="float32")


def clean(session: Session, chunks: int) -> Tensor:
    return torch.stack([session.state.past[e.chunk.index].clean for e in session.stream(chunks=chunks)])


def kept(chunks: int) -> list[int]:
    """What the window keeps of so many chunks."""
    return list(range(chunks)) if chunks <= 3 else [0, chunks - 2, chunks - 1]


class PlainView:
    """No cache at all: every row attends, by its own rule, to rows of the same call. ``end[i]`` is row i's anchor."""

    def __init__(
        self, model: Model, rows: list[int], sees: Callable[[int, int], bool], end: Callable[[int], int]
    ) -> None:
        self.model, self.rows, self.sees, self.end = model, rows, sees, end
        self.coords = model.coords((3, 16, 4, 6))[:, None]

    def _turned(self, x: Tensor, row: int, end: int) -> Tensor:
        coords = self.coords.clone()
        coords[..., 0] += max(SPAN * row - end, -HORIZON)
        return rotate(x, self.model.backbone.rope.angles(coords))

    def attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = []
        for i, row in enumerate(self.rows):
            seen = [j for j, other in enumerate(self.rows) if other == row or (other < row and self.sees(row, other))]
            keys = torch.cat([self._turned(k[j], self.rows[j], self.end(row)) for j in seen])
            out.append(sdpa(self._turned(q[i], row, self.end(row)), keys, torch.cat([v[j] for j in seen])))
        return torch.stack(out)


def plain(model: Model, chunks: int, switch: int | None = None, recache: bool = False, seed: int = 3) -> Tensor:
    """The whole film without a cache: every step runs the transformer on all chunks so far in one block-causal pass."""
    session = model.session(seed=seed)
    prompt, times, done = model.conditions["prompt"], session.times(4), []
    for c in range(chunks):
        x, at = normal((3, 16, 4, 6), seed, c, 0), c
        after = switch is not None and c >= switch
        rows = [*kept(switch or 0), *range(switch or 0, c)] if recache and after else list(range(c))

        def sees(row: int, other: int, after: bool = after) -> bool:
            if recache and after and row < (switch or 0):
                return other in kept(switch or 0)
            return other in kept(row)

        def end(row: int, after: bool = after) -> int:
            return SPAN * (switch or 0) if recache and after and row < (switch or 0) else SPAN * row

        told = [NEW if (switch is not None and (r >= switch or (recache and after))) else OLD for r in [*rows, at]]
        for k in range(4):
            view = PlainView(model, [*rows, at], sees, end)
            features = torch.stack([prompt.encode(t, session.plan.chunk(0), 0) for t in told])
            moments = torch.tensor([1.0] * len(rows) + [times[k]])
            states = torch.stack([*(done[r] for r in rows), x])
            with torch.inference_mode():
                predicted = model.backbone(states, moments, view, {"prompt": features})
            x = predicted[-1] if k == 3 else _renoised(predicted[-1], times[k + 1], seed, c, k + 2)
        done.append(x)
    return torch.stack(done)


def _renoised(x: Tensor, t: float, seed: int, chunk: int, draw: int) -> Tensor:
    return t * x + (1 - t) * normal(tuple(x.shape), seed, chunk, draw)


def streamed(model: Model, chunks: int, switch: int | None = None, how: str = "swap") -> tuple[Session, Tensor]:
    session = model.session(seed=3, context=WINDOW, prompt_switch=how)
    session.send("prompt", OLD)
    states = clean(session, chunks if switch is None else switch)
    if switch is not None:
        session.send("prompt", NEW)
        states = torch.cat([states, clean(session, chunks - switch)])
    return session, states


def test_the_cache_equals_one_block_causal_pass_after_eviction(model: Model) -> None:
    session, states = streamed(model, 8)
    assert torch.allclose(states, plain(model, 8), atol=1e-4)
    clean(session, 1)
    assert session.state.contexts["main"].chunks == {0, 6, 7}


@pytest.mark.parametrize("how", ["swap", "recache"])
def test_and_after_a_prompt_switch(model: Model, how: str) -> None:
    _, states = streamed(model, 8, switch=5, how=how)
    expected = plain(model, 8, switch=5, recache=how == "recache")
    assert torch.allclose(states, expected, atol=1e-4)
    assert not torch.allclose(states[5:], streamed(model, 8)[1][5:], atol=1e-2)


def test_and_after_snapshot_and_restore(model: Model, tmp_path: Path) -> None:
    session, states = streamed(model, 6, switch=5, how="recache")
    session.snapshot(tmp_path / "s.safetensors")
    expected = [e.payload for e in session.stream(chunks=3)]
    restored = model.restore(tmp_path / "s.safetensors")
    assert all((a == e.payload).all() for a, e in zip(expected, restored.stream(chunks=3), strict=True))
    assert expected[0].shape == (12, 32, 48, 3)


def test_endless_past_every_table(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """1,200 latent frames: past the 21 of a rollout and the 1,024 of a rotary table. Not decoded, to save time."""
    monkeypatch.setattr(model.codec, "decode", lambda latents, state: (latents, state))
    fast = {"steps": 1, "rewind": 0, "context": WINDOW}
    session = model.session(seed=1, **fast)
    session.send("prompt", OLD)
    held, places, spread = set(), set(), []
    for event in session.stream(chunks=400):
        if event.chunk.index >= 10:
            held.add(session.context_bytes)
            context = session.state.contexts["main"]
            segments = context.layers[0][0].segments
            places.add(tuple(int(context.positions(s)[0, 0, 0]) for s in segments))
        spread.append(session.state.past[event.chunk.index].clean.std().item())
    assert session.state.past[399].chunk.start == 1197
    assert len(held) == 1
    assert places == {(-9, -6, -3)}, "the first chunk stays at the horizon, the newest two right behind"
    assert len(session.state.past) <= 5
    jumps = [abs(a - b) for a, b in pairwise(spread)]
    assert max(jumps[336:346]) < 2 * max(jumps[10:330])  # around 1,024 nothing happens
    assert len(model.backbone._told) <= 4


def test_frames_are_counted_with_the_short_first_latent(model: Model) -> None:
    session = model.session(seed=1)
    assert (model.frames_per_chunk, model.lead) == (12, 3)
    made = [sum(len(e.payload) for e in model.session().stream(frames=n)) for n in (1, 9, 10, 21, 22)]
    assert made == [9, 9, 21, 21, 33]
    assert sum(len(e.payload) for e in session.stream(frames=9)) == 9
    assert sum(len(e.payload) for e in session.stream(frames=12)) == 12


@pytest.mark.parametrize("frames", [1, 5, 9, 21, 30])
def test_a_start_is_continued_not_begun_anew(model: Model, frames: int) -> None:
    media = np.random.default_rng(1).integers(0, 256, (frames, 32, 48, 3), dtype=np.uint8)
    session = model.session(seed=1, start=media)
    session.send("prompt", OLD)
    events = list(session.stream(chunks=2))
    given = 1 if frames < 21 else 2
    assert [e.chunk.index for e in events] == [given, given + 1]
    assert [len(e.payload) for e in events] == [12, 12]  # the short first latent was in the start
    other = model.session(seed=1, start=255 - media)
    other.send("prompt", OLD)
    assert (next(iter(other.stream(chunks=1))).payload != events[0].payload).any()


def test_two_sessions_share_keys_of_one_prompt_and_nothing_else(model: Model) -> None:
    def film(session: Session) -> list[Any]:
        session.send("prompt", OLD)
        return [e.payload for e in session.stream(chunks=2)]

    alone = [film(model.session(seed=s)) for s in (1, 2)]
    a, b = model.session(seed=1), model.session(seed=2)
    for session in (a, b):
        session.send("prompt", OLD)
    together: dict[int, list[Any]] = {0: [], 1: []}
    while min(len(f) for f in together.values()) < 2:
        for i, events in enumerate(unreel.advance([a, b])):
            together[i] += [e.payload for e in events]
    assert a.state.past[0].conditions["prompt"] is b.state.past[0].conditions["prompt"]
    for mine, shared in zip(alone, together.values(), strict=True):
        for x, y in zip(mine, shared, strict=False):
            assert abs(x.astype(int) - y.astype(int)).max() <= 1


@pytest.mark.parametrize("context", ["full", {"class": "window", "sink": 0, "recent": 2, "horizon": 10}])
def test_skyreels_in_flight_together_equals_recomputing(tmp_path: Path, context: Any) -> None:
    write_layout(tmp_path / "sky", "skyreels")
    sidecar(tmp_path / "sky", card={"schedule": {"steps": 6, "offset": 2}, "guidance": {"scale": 4.0}})
    sky = unreel.load(tmp_path / "sky", device="cpu", dtype="float32")
    films = {}
    for commit in ("with-next", "never"):
        session = sky.session(seed=1, context="full", commit=commit)
        session.send("prompt", OLD)
        films[commit] = clean(session, 4)
    assert torch.allclose(films["with-next"], films["never"], atol=1e-3)
    session = sky.session(seed=1, context=context)
    assert [len(e.payload) for e in session.stream(chunks=4)] == [17, 20, 20, 20]
    assert session.branches == ("main", "null")


def test_served_and_steered_by_prompts(model: Model) -> None:
    with LiveServer(model) as server, server.connect(seed=1, prompt=OLD, pace="free") as live:
        chunks = iter(live.chunks(4))
        first = next(chunks)
        live.send("prompt", NEW)
        rest = list(chunks)
    assert first.frames.shape[0] == 9
    assert [c.frames.shape[0] for c in rest] == [12, 12, 12]
