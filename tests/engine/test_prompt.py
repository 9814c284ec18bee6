"""Prompt switches on the fake backbone with a text condition, in full precision."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from unreel.engine.context.view import SequenceView
from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.engine.prompt import PromptSwitch
from unreel.engine.session import Session

Make = Callable[..., Model]
OLD, NEW = [1.0, 0.0, -1.0], [0.0, 3.0, 0.5]
TEXT = {
    "architecture": {
        "class": "patch-dit", "channels": 12, "patch": 2, "width": 32, "depth": 2, "heads": 2, "text_width": 3
    },
    "conditions": {"text": {"width": 3}},
}  # fmt: skip


@pytest.fixture
def model(make_fake: Make) -> Model:
    return make_fake(**TEXT)


def clean(session: Session, chunks: int) -> Tensor:
    return torch.stack([session.state.past[e.chunk.index].clean for e in session.stream(chunks=chunks)])


def switched(model: Model, before: int, after: int, **options: Any) -> tuple[Session, Tensor]:
    session = model.session(seed=3, **options)
    session.send("text", OLD)
    first = clean(session, before)
    session.send("text", NEW)
    return session, torch.cat([first, clean(session, after)])


def kept(session: Session, branch: str = "main") -> dict[int, list[tuple[Tensor, Tensor]]]:
    """Keys and values of every kept chunk, per layer."""
    layers = [group.segments for (group,) in session.state.contexts[branch].layers]
    columns = list(zip(*layers, strict=True))
    return {column[0].chunk.index: [(x.k_NHD, x.v_NHD) for x in column] for column in columns}


@pytest.mark.parametrize("together", [8, 3])
@pytest.mark.parametrize("commit", ["extra", "with-next", "inline"])
def test_recached_keys_are_those_of_one_pass_under_the_new_prompt(
    model: Model, commit: str, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("unreel.engine.prompt.TOGETHER", together)
    session, states = switched(model, 4, 0 + 1, commit=commit, context="full")
    view = SequenceView(1, 4, model.coords((2, 12, 4, 4)), model.backbone.rope, span=2)
    seen: list[tuple[Tensor, Tensor]] = []
    inner = view.attend

    def spy(layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.append((k, v))
        return inner(layer, q, k, v)

    view.attend = spy  # type: ignore[method-assign]
    model.backbone(states[:4], torch.ones(4), view, {"text": torch.tensor([NEW] * 4)})
    held = kept(session)
    for chunk in range(4):
        for layer, (k, v) in enumerate(seen):
            assert torch.allclose(held[chunk][layer][0], k[chunk], atol=1e-5)
            assert torch.allclose(held[chunk][layer][1], v[chunk], atol=1e-5)


def test_what_follows_a_recache_is_as_if_the_past_had_had_the_new_prompt(model: Model) -> None:
    """The commit mode `never` computes the past again in every step, so it is the plain answer."""
    _, cached = switched(model, 4, 3, context="full", commit="extra")
    _, plain = switched(model, 4, 3, context="full", commit="never")
    assert torch.allclose(cached, plain, atol=1e-4)
    _, swapped = switched(model, 4, 3, context="full", prompt_switch="swap")
    assert torch.equal(swapped[:4], cached[:4])
    assert not torch.allclose(swapped[4:], cached[4:], atol=1e-3)


def test_recache_after_eviction_keeps_to_what_is_kept(model: Model) -> None:
    session, _ = switched(model, 12, 0 + 1, context={"class": "window", "sink": 1, "recent": 3, "horizon": 8})
    before = session.context_bytes
    assert sorted(kept(session)) == [0, 9, 10, 11]
    clean(session, 3)
    assert session.context_bytes == before


def test_recache_is_told_in_the_numbers_and_with_the_event(model: Model) -> None:
    session = model.session(seed=1, context="full")
    clean(session, 3)
    rows = session.stats.commit_rows
    name = session.send("text", NEW)
    (event,) = session.stream(chunks=1)
    assert [c.id for c in event.applied] == [name]
    assert session.stats.commit_rows == rows + 1 + 3  # chunk 2, then chunks 0 to 2 again


@pytest.mark.parametrize("how", ["recache", "swap", "blend"])
@pytest.mark.parametrize("offset", [None, 2])
def test_a_switch_survives_snapshot_and_fork(model: Model, tmp_path: Path, how: str, offset: int | None) -> None:
    session, _ = switched(model, 4, 1, prompt_switch=how, offset=offset, commit="with-next")
    session.snapshot(tmp_path / "s.safetensors")
    fork = session.fork()
    expected = clean(session, 4)
    assert torch.equal(expected, clean(fork, 4))
    assert torch.equal(expected, clean(model.restore(tmp_path / "s.safetensors"), 4))


@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_only_branches_that_hear_the_prompt_are_recached(model: Model, guidance: float) -> None:
    session = model.session(seed=1, context="full", guidance=guidance)
    clean(session, 3)
    before = {b: kept(session, b) for b in session.branches}
    session.send("text", NEW)
    clean(session, 1)
    for branch in session.branches:
        same = all(torch.equal(a[0], b[0]) for a, b in zip(before[branch][0], kept(session, branch)[0], strict=True))
        assert same == (branch == "null")


def test_a_blend_goes_straight_from_old_to_new(model: Model) -> None:
    session = model.session(seed=1, prompt_switch={"class": "blend", "chunks": 3}, context="full")
    session.send("text", OLD)
    clean(session, 2)
    session.send("text", NEW)
    clean(session, 5)
    old, new = torch.tensor(OLD), torch.tensor(NEW)
    for chunk, share in ((1, 0.0), (2, 0.25), (3, 0.5), (4, 0.75), (5, 1.0), (6, 1.0)):
        assert torch.allclose(session.state.past[chunk].conditions["text"], torch.lerp(old, new, share))


def test_a_blend_that_is_interrupted_goes_on_from_where_it_was(model: Model) -> None:
    session = model.session(seed=1, prompt_switch={"class": "blend", "chunks": 1}, context="full")
    for prompt in (OLD, NEW, OLD):
        session.send("text", prompt)
        clean(session, 1)
    middle = session.state.past[1].conditions["text"]
    assert torch.allclose(middle, torch.lerp(torch.tensor(OLD), torch.tensor(NEW), 0.5))
    halfway = session.state.past[2].conditions["text"]
    assert torch.allclose(halfway, torch.lerp(torch.tensor(NEW), torch.tensor(OLD), 0.5))


def test_actions_are_never_recached(make_fake: Make) -> None:
    session = make_fake().session(seed=1)
    clean(session, 2)
    rows = session.stats.commit_rows
    session.send("action", "w")
    clean(session, 1)
    assert session.stats.commit_rows == rows + 1


def test_ways_are_checked(model: Model) -> None:
    assert PromptSwitch.of({"class": "blend", "chunks": 6}) == PromptSwitch("blend", 6)
    assert PromptSwitch.of("swap").how == "swap"
    for wrong in ("fade", {"class": "blend", "chunks": 0}, {"class": "blend", "steps": 2}, {"chunks": "many"}):
        with pytest.raises(UserError):
            model.session(prompt_switch=wrong)
