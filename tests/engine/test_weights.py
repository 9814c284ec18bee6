"""Weights files: whole, cut off, pickled, of another shape."""

from pathlib import Path

import pytest
import torch
from fake import write_folder
from safetensors.torch import load_file, save_file

from unreel.engine.errors import UserError
from unreel.engine.weights import fill, read_tensors


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write_folder(tmp_path) / "fake.safetensors"


def test_half_precision_fills_a_float32_network(tmp_path: Path) -> None:
    net = torch.nn.Linear(3, 2)
    save_file({"weight": torch.ones(2, 3).half(), "bias": torch.zeros(2).half()}, tmp_path / "w.safetensors")
    fill(net, read_tensors(tmp_path / "w.safetensors"), tmp_path)
    assert net.weight.dtype == torch.float32
    assert float(net.weight.detach().sum()) == 6


@pytest.mark.parametrize("size", [4, 100, -10])
def test_a_cut_file_is_told(file: Path, size: int) -> None:
    file.write_bytes(file.read_bytes()[:size])
    with pytest.raises(UserError, match="cut off"):
        read_tensors(file)


@pytest.mark.parametrize("zipped", [True, False])
def test_a_pickle_in_disguise_is_never_opened(file: Path, zipped: bool) -> None:
    torch.save({"a": torch.ones(1)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UserError, match="pickle"):
        read_tensors(file)


def test_what_does_not_fit_is_named(file: Path) -> None:
    tensors = load_file(file)
    tensors["head.bias"] = torch.zeros(5)
    tensors["extra"] = tensors.pop("embed.bias")
    net = torch.nn.ModuleDict({"head": torch.nn.Linear(32, 48)})
    with pytest.raises(UserError, match=r"1 missing \(head.weight\).*unexpected.*another shape \(head.bias\)"):
        fill(net, {k: v for k, v in tensors.items() if k != "head.weight"}, file)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot read"):
        read_tensors(tmp_path / "none.safetensors")
