"""Networks in files of their own: they come back as they were, and what is none is told in one line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn

from unreel.engine.errors import UserError
from unreel.engine.netfile import load_net, save_net


@dataclass(frozen=True)
class Sizes:
    width: int = 3


class Net(nn.Module):
    def __init__(self, config: Sizes) -> None:
        super().__init__()
        self.config = config
        self.line = nn.Linear(config.width, config.width)
        self.register_buffer("count", torch.tensor(7))


def load(path: Path) -> Net:
    return load_net(path, "toy net", lambda sizes: Net(Sizes(**sizes)))


@pytest.mark.parametrize("half", [False, True])
def test_a_network_comes_back(tmp_path: Path, half: bool) -> None:
    net = Net(Sizes(5))
    save_net(net, tmp_path / "net.safetensors", "toy net", half=half)
    found = load(tmp_path / "net.safetensors")
    assert found.config == Sizes(5)
    assert found.count.item() == 7
    assert torch.allclose(found.line.weight, net.line.weight, atol=1e-3 if half else 0)


def test_what_is_no_network_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="there is no toy net"):
        load(tmp_path / "nowhere.safetensors")
    (tmp_path / "text").write_text("hello")
    with pytest.raises(UserError, match="is no toy net"):
        load(tmp_path / "text")
    save_net(Net(Sizes()), tmp_path / "other", "other net")
    with pytest.raises(UserError, match="is no toy net"):
        load(tmp_path / "other")
