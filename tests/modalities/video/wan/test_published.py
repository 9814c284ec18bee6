from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")
pytest.importorskip("transformers", reason="needs the extra [wan]: transformers")

from tiny_wan import FAMILY, LAYOUTS, original_names, sidecar, wan, write_layout

import unreel
from unreel.engine.errors import UserError
from unreel.modalities.video.wan import published
from unreel.modalities.video.wan.convert import convert


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("published")
    return {name: write_layout(root / name, name) for name in LAYOUTS}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_streams(made: dict[str, Path], name: str) -> None:
    model = unreel.load(made[name], device="cpu", dtype="float32")
    assert model.name == FAMILY.get(name, name)
    session = model.session(seed=1)
    session.send("prompt", "a red fox runs")
    events = list(session.stream(chunks=2))
    first, later = (9, 12) if model.name != "skyreels-v2-df" else (17, 20)
    assert [e.payload.shape for e in events] == [(first, 32, 48, 3), (later, 32, 48, 3)]
    assert events[0].payload.std() > 5
    other = model.session(seed=1)
    other.send("prompt", "blue")
    assert (next(iter(other.stream(chunks=1))).payload != events[0].payload).any()


def test_layouts_of_the_same_weights_make_the_same_film(made: dict[str, Path]) -> None:
    films = {}
    for name in ("self-forcing", "krea", "wan"):
        model = unreel.load(made[name], device="cpu", dtype="float32")
        session = model.session(seed=1, context="full", sampler="renoise", steps=4)
        session.send("prompt", "a red fox")
        films[name] = [e.payload for e in session.stream(chunks=2)]
    for name in ("krea", "wan"):  # weights that lie elsewhere in memory may round the last bit differently
        for a, b in zip(films["self-forcing"], films[name], strict=True):
            assert abs(a.astype(int) - b.astype(int)).max() <= 1


@pytest.mark.parametrize("name", ["self-forcing", "longlive", "diffusers-skyreels"])
def test_converted_is_the_same_model(made: dict[str, Path], tmp_path: Path, name: str) -> None:
    convert(made[name], tmp_path / "ours", dtype="float32")
    assert not list((tmp_path / "ours").rglob("*.pt*"))
    a, b = (unreel.load(p, device="cpu", dtype="float32") for p in (made[name], tmp_path / "ours"))
    for (n, x), (m, y) in zip(a.backbone.state_dict().items(), b.backbone.state_dict().items(), strict=True):
        assert n == m
        assert torch.equal(x, y)
    films = []
    for model in (a, b):
        session = model.session(seed=2)
        session.send("prompt", "a fox sleeps")
        films.append(next(iter(session.stream(chunks=1))).payload)
    assert abs(films[0].astype(int) - films[1].astype(int)).max() <= 1
    assert "/" not in yaml.safe_load((tmp_path / "ours" / "model.yaml").read_text())["codec"]["path"][2:]
    with pytest.raises(UserError, match="not empty"):
        convert(made[name], tmp_path / "ours")


def test_the_lora_beside_longlive_is_merged_and_can_be_left_out(made: dict[str, Path]) -> None:
    weight = {}
    for strength in (0.0, 1.0):
        found = published.read(made["longlive"], published.Wish(lora=strength))
        weight[strength] = published.tensors_of(found)["blocks.0.self_attn.q.weight"]
    assert torch.allclose(weight[1.0] - weight[0.0], torch.full((32, 32), 4 * 0.05**2), atol=1e-6)


def test_the_warped_list_of_self_forcing() -> None:
    from unreel.engine.sampler.times import Grid

    card = published.presets()["self-forcing"]
    times = Grid(shift=card["sampler"]["shift"]).times(card["schedule"]["steps"])
    assert [round(1000 * (1 - t), 1) for t in times] == [1000.0, 937.5, 833.3, 625.0, 0.0]


@pytest.mark.parametrize("name", sorted(published.presets()))
def test_presets_are_cards_with_sources(name: str) -> None:
    text = (Path(published.files("unreel.configs")) / "wan" / f"{name}.yaml").read_text(encoding="utf-8")
    assert text.count("github.com/") >= 1
    assert "Weights: " in text
    card = published.presets()[name]
    assert card["name"] == name
    assert card["guidance"]["drop"] == ["prompt"]


def test_what_is_wrong_is_said(made: dict[str, Path], tmp_path: Path) -> None:
    tensors = original_names(wan())
    tensors.pop("blocks.1.ffn.0.bias")
    torch.save({"step": 3, "model": {**tensors, "optimizer.m": torch.zeros(1)}}, tmp_path / "x.pt")
    facts = published.describe(published.read(tmp_path / "x.pt", published.Wish(heads=2)))
    assert facts["family"].startswith("unknown")
    assert facts["missing keys"] == ["blocks.1.ffn.0.bias"]
    assert facts["unexpected keys"] == ["optimizer.m"]
    assert facts["VAE"] == "not found"
    with pytest.raises(UserError, match="unknown family"):
        published.load(tmp_path / "x.pt", wish=published.Wish(heads=2))
    with pytest.raises(UserError, match="no VAE near"):
        published.load(tmp_path / "x.pt", wish=published.Wish(preset="krea", heads=2))
    with pytest.raises(UserError, match="unknown preset"):
        published.read(tmp_path / "x.pt", published.Wish(preset="sora", heads=2))
    base = str(made["krea"] / "Wan2.1-T2V-1.3B")
    with pytest.raises(UserError, match="1 missing"):
        published.load(tmp_path / "x.pt", wish=published.Wish("krea", base, 2))


def test_pickles_of_more_than_tensors_are_never_opened(tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    torch.save({"generator_ema": Evil()}, tmp_path / "self_forcing_dmd.pt")
    with pytest.raises(UserError, match="more than tensors"):
        published.read(tmp_path)
    assert not (tmp_path / "ran").exists()
    (tmp_path / "self_forcing_dmd.pt").write_bytes(b"PK\x03\x04 cut off")
    with pytest.raises(UserError, match="not a whole PyTorch file"):
        published.read(tmp_path)


def test_the_sidecar_is_checked(made: dict[str, Path], tmp_path: Path) -> None:
    torch.save(original_names(wan()), tmp_path / "krea.pt")
    (tmp_path / "unreel.yaml").write_text("colour: red", encoding="utf-8")
    with pytest.raises(UserError, match="takes preset, base"):
        published.read(tmp_path)
    sidecar(tmp_path, base=str(made["krea"] / "Wan2.1-T2V-1.3B"), card={"schedule": {"steps": 0}})
    with pytest.raises(UserError, match=r"card in unreel\.yaml"):
        published.load(tmp_path)
