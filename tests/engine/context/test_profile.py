"""Head profiles: scores, classes and how steady they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from unreel.engine.context.profile import Tally, classify, head_scores, profile_path, read_profile
from unreel.engine.errors import UserError


def test_a_heads_score_is_its_share_of_attention_on_the_near_keys() -> None:
    q = torch.zeros(2, 1, 4)
    near = torch.tensor([False, False, True, True, True])
    counted = torch.tensor([False, True, True, True, True])
    assert head_scores(q, torch.randn(5, 1, 4), near, counted).tolist() == pytest.approx([0.75])


def test_classes_and_their_stability() -> None:
    tally = Tally()
    tally.add(0, sample=0, level=0, scores=[0.9, 0.1])
    tally.add(0, sample=1, level=0, scores=[0.9, 0.85])
    profile = classify(tally)
    assert profile["static"] == [[0]]
    assert profile["static_share"] == 0.5
    assert profile["stability"]["samples"] == {"mean": 0.75, "worst": 0.5}
    assert profile["stability"]["levels"] == {"mean": 1.0, "worst": 1.0}


def test_profiles_are_read_back_and_broken_ones_refused(tmp_path: Path) -> None:
    path = profile_path("fake", tmp_path)
    assert read_profile(path) == ()
    path.write_text(json.dumps({"static": [[0], [1, 2]]}))
    assert read_profile(path) == ((0,), (1, 2))
    path.write_text("{}")
    with pytest.raises(UserError, match="unreel profile"):
        read_profile(path)
