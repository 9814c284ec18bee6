"""Snapshots: refused when they are not what they should be."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake import frames
from safetensors.torch import save_file

from unreel import UserError
from unreel.engine.model import Model


def test_options_and_length_come_back(fake: Model, tmp_path: Path) -> None:
    session = fake.session(seed=5, steps=2, offset=1, length=6, context={"recent": 2}, guidance=1.5, actions="w-3,d-1")
    list(session.stream(chunks=2))
    session.snapshot(tmp_path / "s.safetensors")
    restored = fake.restore(tmp_path / "s.safetensors")
    assert torch.equal(frames(restored.stream()), frames(session.stream()))
    assert restored.finished


def test_a_restored_session_can_be_reset(fake: Model, tmp_path: Path) -> None:
    session = fake.session(seed=5)
    first = frames(session.stream(chunks=2))
    session.snapshot(tmp_path / "s.safetensors")
    restored = fake.restore(tmp_path / "s.safetensors")
    restored.send("reset")
    assert torch.equal(frames(restored.stream(chunks=2)), first)


def test_what_is_no_snapshot_is_refused(fake: Model, make_fake: Callable[..., Model], tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    with pytest.raises(UserError, match="not a session snapshot"):
        fake.restore(path)
    path.write_bytes(b"nonsense")
    with pytest.raises(UserError, match="not a session snapshot"):
        fake.restore(path)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(UserError, match="format"):
        fake.restore(path)
    fake.session().snapshot(path)
    with pytest.raises(UserError, match="of the model fake"):
        make_fake(name="other").restore(path)


def test_an_unwritable_place_is_told(fake: Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot write"):
        fake.session().snapshot(tmp_path / "missing" / "s.safetensors")
