"""Loading a model and what it tells of itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake import KEYS, fake_model, frames, write_folder

from unreel import UserError
from unreel.engine.model import Model, best_dtype, load_model


def test_a_model_tells_what_it_is(fake: Model) -> None:
    assert (fake.name, fake.fps, fake.frame_size, fake.frames_per_chunk) == ("fake", 10, (8, 8), 2)
    assert list(fake.actions) == KEYS


def test_bfloat16_runs_and_is_chosen_only_where_it_is_fast(tmp_path: Path) -> None:
    assert best_dtype("cuda") == torch.bfloat16
    assert best_dtype("cpu") in (torch.bfloat16, torch.float32)
    model = fake_model(tmp_path, dtype="bfloat16")
    session = model.session(seed=1)
    assert len(frames(session.stream(chunks=2))) == 4
    assert session.state.contexts["main"].layers[0][0].segments[0].k_NHD.dtype == torch.bfloat16


def test_an_unknown_dtype_and_missing_weights_are_told(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    with pytest.raises(UserError, match="dtype must be"):
        load_model(folder / "model.yaml", folder, dtype="int4")
    (folder / "fake.safetensors").unlink()
    with pytest.raises(UserError, match="cannot read the weights"):
        load_model(folder / "model.yaml", folder)
    write_folder(tmp_path, weights=None)
    with pytest.raises(UserError, match="names no weights"):
        load_model(folder / "model.yaml", folder)


def test_a_seed_makes_random_weights_without_a_file(tmp_path: Path) -> None:
    folder = write_folder(tmp_path)
    (folder / "fake.safetensors").unlink()
    model = load_model(folder / "model.yaml", folder, dtype="float32", seed=5)
    assert len(frames(model.session().stream(chunks=1))) == 2


def test_a_card_with_an_unknown_part_is_told(make_fake: Callable[..., Model]) -> None:
    with pytest.raises(UserError, match="unknown codec"):
        make_fake(codec={"class": "zip"})
    with pytest.raises(UserError, match="has no option"):
        make_fake(conditions={"action": {"buttons": ["a"]}})


def test_overrides_of_one_class_are_laid_over_the_cards(fake: Model) -> None:
    policy = fake.settings({"context": {"recent": 2}}, None).context
    assert (policy.sink, policy.recent, policy.horizon) == (1, 2, 8)  # type: ignore[attr-defined]
    assert fake.settings({"context": "full"}, None).context.horizon is None


def test_loading_leaves_the_global_random_stream(tmp_path: Path) -> None:
    torch.manual_seed(3)
    before = torch.random.get_rng_state()
    fake_model(tmp_path)
    assert torch.equal(before, torch.random.get_rng_state())
