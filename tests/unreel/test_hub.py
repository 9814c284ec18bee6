"""The hub without a network: huggingface_hub is replaced by a module of our own."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

import unreel
from unreel import hub
from unreel.engine.errors import UserError

Asked = list[tuple[str, list[str]]]


def fake_hub(monkeypatch: pytest.MonkeyPatch, root: Path, error: Exception | None = None) -> Asked:
    asked: Asked = []

    def snapshot_download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        if error is not None:
            raise error
        return str(root / name)

    module = ModuleType("huggingface_hub")
    module.snapshot_download = snapshot_download  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    return asked


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("owner/name", True),
        ("gdhe17/Self-Forcing/checkpoints/self_forcing_dmd.pt", True),
        ("dream", False),
        ("./folder/name", False),
        ("/a/b", False),
        ("a b/c", False),
    ],
)
def test_what_reads_as_a_repository(name: str, expected: bool) -> None:
    assert hub.is_repository(name) is expected


def test_a_folder_here_is_not_asked_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "owner" / "name").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert not hub.is_repository("owner/name")


def test_offline_is_said_plainly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_hub(monkeypatch, tmp_path, OSError("we could not connect"))
    with pytest.raises(UserError, match=r"cannot get 'owner/name' from the Hugging Face hub \(offline"):
        unreel.load("owner/name")


def test_without_huggingface_hub_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(UserError, match=r"pip install 'unreel\[wan\]'"):
        unreel.load("owner/name")


def test_the_vae_of_wan_is_fetched_with_a_fine_tune(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_hub(monkeypatch, tmp_path)
    for name in ("gdhe17/Self-Forcing/checkpoints", hub.BASE):
        (tmp_path / name).mkdir(parents=True)
    file = tmp_path / "gdhe17/Self-Forcing/checkpoints/x.pt"
    file.touch()
    assert hub.fetch("gdhe17/Self-Forcing/checkpoints/x.pt") == file
    assert [name for name, _ in asked] == ["gdhe17/Self-Forcing", hub.BASE]
    assert "checkpoints/x.pt" in asked[0][1]
    assert (tmp_path / "gdhe17/Self-Forcing/Wan2.1-T2V-1.3B").resolve() == (tmp_path / hub.BASE).resolve()
    with pytest.raises(UserError, match="has no file"):
        hub.fetch("gdhe17/Self-Forcing/checkpoints/y.pt")


def test_of_several_models_in_a_repository_the_published_one_is_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = fake_hub(monkeypatch, tmp_path)
    (tmp_path / "tianweiy/CausVid/autoregressive_checkpoint").mkdir(parents=True)
    (tmp_path / "tianweiy/CausVid/Wan2.1_VAE.pth").touch()
    file = tmp_path / "tianweiy/CausVid/autoregressive_checkpoint/model.pt"
    file.touch()
    assert hub.fetch("tianweiy/CausVid") == file
    assert asked == [("tianweiy/CausVid", ["autoregressive_checkpoint/model.pt", "*.json", "*.yaml"])]


def test_a_model_of_ours_on_the_hub_needs_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_hub(monkeypatch, tmp_path)
    (tmp_path / "owner/name").mkdir(parents=True)
    (tmp_path / "owner/name/model.yaml").touch()
    assert hub.fetch("owner/name") == tmp_path / "owner/name"
    assert len(asked) == 1
