"""Profiling a model's heads by running it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from unreel.engine.context.profile import profile_path
from unreel.engine.errors import UserError
from unreel.engine.model import Model, load_model
from unreel.engine.profiling import profile_heads, write_profile


def test_a_profile_covers_every_head_and_level(fake: Model) -> None:
    profile = profile_heads(fake, samples=2, chunks=4)
    assert [len(layer) for layer in profile["scores"]] == [2, 2]
    assert all(0 <= score <= 1 for layer in profile["scores"] for score in layer)
    assert profile["recipe"]["near_tokens"] == 16
    everything = profile_heads(fake, samples=1, chunks=4, border=1e-9)
    assert everything["static"] == [[0, 1], [0, 1]]
    assert everything["static_share"] == 1.0


def test_a_stored_profile_is_found_by_the_model_and_its_sessions(fake: Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="unreel profile"):
        fake.session(context="hybrid")
    write_profile(profile_path("fake", tmp_path / "fake"), profile_heads(fake, samples=1, chunks=4))
    again = load_model(tmp_path / "fake" / "model.yaml", tmp_path / "fake", device="cpu", dtype="float32")
    static = json.loads((tmp_path / "fake" / "fake.heads.json").read_text())["static"]
    assert [list(layer) for layer in again.heads] == static
    assert len(list(again.session(context="hybrid").stream(chunks=4))) == 4


@pytest.mark.parametrize("bad", [{"samples": 0}, {"chunks": 0}, {"recent": -1}, {"border": 0}])
def test_impossible_profiles_are_refused(fake: Model, bad: dict) -> None:
    with pytest.raises(UserError):
        profile_heads(fake, **bad)


def test_a_context_of_near_frames_only_cannot_be_profiled(make_fake) -> None:
    model = make_fake(context={"class": "window", "sink": 0, "recent": 1})
    with pytest.raises(UserError, match="nothing to tell apart"):
        profile_heads(model, samples=1, chunks=3)
