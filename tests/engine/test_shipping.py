"""What a training ships: half precision, and a card in which what people set stays."""

from __future__ import annotations

from pathlib import Path

import torch
import yaml
from safetensors.torch import load_file

from unreel.engine.shipping import write_card, write_weights


def test_weights_are_halved_and_readable_by_all(tmp_path: Path) -> None:
    path = tmp_path / "new" / "net.safetensors"
    write_weights(path, {"a": torch.ones(2, 3).t()})
    assert load_file(path)["a"].dtype == torch.float16
    assert load_file(path)["a"].shape == (3, 2)
    assert path.stat().st_mode & 0o777 == 0o644


def test_a_card_keeps_all_but_what_was_decided(tmp_path: Path) -> None:
    path = tmp_path / "model.yaml"
    write_card(path, {"name": "net", "steps": 4, "training": {"loss": 2}}, ("training",))
    edited = yaml.safe_load(path.read_text()) | {"steps": 8}
    path.write_text(yaml.safe_dump(edited))
    write_card(path, {"name": "other", "steps": 4, "training": {"loss": 1}}, ("training",))
    assert yaml.safe_load(path.read_text()) == {"name": "net", "steps": 8, "training": {"loss": 1}}
