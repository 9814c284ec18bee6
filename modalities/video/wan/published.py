"""From published files to a model: which family it is, its card, its tensors; and to a folder of ours.

What cannot be read off the files is taken from the preset of the family (``configs/wan``) and from an optional
``unreel.yaml`` beside them: ``preset``, ``base``, ``heads``, ``lora`` (its strength, 0 for none) and ``card`` (any
fields).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor

from unreel.engine.backbone.wan import WanBackbone
from unreel.engine.card import Card
from unreel.engine.errors import UserError
from unreel.engine.model import Model, build
from unreel.modalities.video.wan import keys
from unreel.modalities.video.wan.files import SUFFIXES, Parts, find, read_weights
from unreel.modalities.video.wan.lora import merge

HINTS = {  # in the names of files and folders
    "self_forcing": "self-forcing", "self-forcing": "self-forcing", "causvid": "causvid",
    "autoregressive_checkpoint": "causvid", "longlive": "longlive", "krea": "krea", "skyreels": "skyreels-v2-df",
}  # fmt: skip
SIDECAR = ("preset", "base", "heads", "lora", "card")


@dataclass(frozen=True)
class Wish:
    """What a user says about published files; None leaves it to ``unreel.yaml`` and the files."""

    preset: str | None = None
    base: str | None = None
    heads: int | None = None
    lora: float | None = None
    size: tuple[int, int] | None = None  # height and width


@dataclass(frozen=True)
class Published:
    """A published model, read. ``family`` is its preset's name, None where nothing tells."""

    parts: Parts
    checkpoint: keys.Checkpoint
    architecture: dict[str, Any]
    family: str | None
    fields: dict[str, Any]  # of the card, from unreel.yaml
    strength: float = 1.0

    def faults(self) -> dict[str, list[str]]:
        """Names that the network misses, that it has no place for, and those of other shapes."""
        with torch.device("meta"):
            own = WanBackbone(**self.architecture).state_dict()
        have = self.checkpoint.tensors
        return {
            "missing": sorted(set(own) - set(have)),
            "unexpected": sorted({*(set(have) - set(own)), *self.checkpoint.strange}),
            "of another shape": sorted(n for n in own if n in have and own[n].shape != have[n].shape),
        }


def presets() -> dict[str, dict[str, Any]]:
    """Card fields of every family."""
    folder = Path(str(files("unreel.configs"))) / "wan"
    return {p.stem: yaml.safe_load(p.read_text(encoding="utf-8")) for p in sorted(folder.glob("*.yaml"))}


def is_published(path: Path) -> bool:
    """Whether ``path`` may be published files: a weights file, or a folder without a card of ours."""
    if path.is_file():
        return path.suffix in SUFFIXES
    return path.is_dir() and not (path / "model.yaml").is_file()


def read(path: Path, wish: Wish | None = None) -> Published:
    """Find and read everything but VAE and text encoder.

    Raises:
        UserError: no Wan transformer there, damaged files, or an unknown field in ``unreel.yaml``.
    """
    wish, told = wish or Wish(), _sidecar(path if path.is_dir() else path.parent)
    base = wish.base or told.get("base")
    root = path if path.is_dir() else path.parent
    parts = find(path, None if base is None else root / base)
    checkpoint = keys.read(read_weights(parts.transformer))
    heads = wish.heads or told.get("heads") or _heads(parts.transformer)
    architecture = keys.sizes(checkpoint.tensors, heads)
    family = wish.preset or told.get("preset") or _family(path, parts, checkpoint)
    if family is not None and family not in presets():
        raise UserError(f"unknown preset {family!r}: known are {', '.join(presets())}")
    fields = dict(told.get("card", {}))
    if wish.size is not None:
        fields["media"] = {**fields.get("media", {}), "height": wish.size[0], "width": wish.size[1]}
    strength = wish.lora if wish.lora is not None else float(told.get("lora", 1.0))
    return Published(parts, checkpoint, architecture, family, fields, strength)


def _sidecar(folder: Path) -> dict[str, Any]:
    path = folder / "unreel.yaml"
    if not path.is_file():
        return {}
    try:
        told = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from None
    if not isinstance(told, dict) or set(told) - set(SIDECAR):
        raise UserError(f"{path} takes {', '.join(SIDECAR)}; got {', '.join(told) if isinstance(told, dict) else told}")
    return told


def _heads(transformer: Path) -> int | None:
    """From the config.json that original and diffusers folders have."""
    config = (transformer if transformer.is_dir() else transformer.parent) / "config.json"
    if not config.is_file():
        return None
    content = json.loads(config.read_text(encoding="utf-8"))
    heads = content.get("num_heads", content.get("num_attention_heads"))
    return int(heads) if heads is not None else None


def _family(path: Path, parts: Parts, checkpoint: keys.Checkpoint) -> str | None:
    """By what the tensors tell, then the names of the files; the last resort is the usual wrapper of Self-Forcing."""
    if "fps_embedding.weight" in checkpoint.tensors:
        return "skyreels-v2-df"
    cached = [part for part in path.absolute().parts if part.startswith("models--")]  # a download of the hub
    for name in (parts.transformer.name, parts.transformer.parent.name, path.absolute().name, *cached):
        for hint, family in HINTS.items():
            if hint in name.lower():
                return family
    return "self-forcing" if "generator_ema" in checkpoint.layout else None


def card_of(found: Published) -> Card:
    """The card of a published model, its files by absolute path.

    Raises:
        UserError: an unknown family, or fields that are no card.
    """
    if found.family is None:
        raise UserError(
            f"{found.parts.transformer} is a Wan transformer of an unknown family: name it with `preset: NAME` in an "
            f"unreel.yaml beside it, or `unreel convert --preset NAME`; known are {', '.join(presets())}"
        )
    parts, fields = found.parts, {**presets()[found.family], **_parts_of_card(found)}
    fields = _laid_over(fields, found.fields)
    fields.setdefault("training", {"published as": str(parts.transformer.name), "layout": found.checkpoint.layout})
    try:
        return Card.model_validate({"modality": "video", **fields})
    except ValueError as error:
        raise UserError(f"the card in unreel.yaml is not right: {' '.join(str(error).split())[:300]}") from None


def _laid_over(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` wins, option by option; another ``class`` takes no options of the one before."""
    if over.get("class", under.get("class")) != under.get("class"):
        return dict(over)
    both = {n: v for n, v in over.items() if isinstance(v, Mapping) and isinstance(under.get(n), Mapping)}
    return {**under, **over, **{name: _laid_over(under[name], value) for name, value in both.items()}}


def _parts_of_card(found: Published) -> dict[str, Any]:
    parts, width = found.parts, found.architecture["text_width"]
    if parts.vae is None and parts.tiny_vae is None:
        raise UserError(
            f"no VAE near {parts.transformer}: put Wan2.1_VAE.pth (of Wan-AI/Wan2.1-T2V-1.3B) or a folder vae/ beside "
            f"it, or name the folder it lies in with `base: PATH` in an unreel.yaml"
        )
    codec = {"class": "wan-vae", "path": parts.vae, "tiny": parts.tiny_vae, "channels": found.architecture["channels"]}
    prompt = {"class": "umt5", "width": width, "path": parts.text_encoder, "tokenizer": parts.tokenizer}
    return {
        "architecture": {"class": "wan", **found.architecture},
        "codec": {n: str(v) if isinstance(v, Path) else v for n, v in codec.items() if v is not None},
        "conditions": {"prompt": {n: str(v) if isinstance(v, Path) else v for n, v in prompt.items() if v is not None}},
    }


def describe(found: Published) -> dict[str, Any]:
    """What ``unreel inspect`` says of published files, as plain values."""
    tensors, parts = found.checkpoint.tensors, found.parts
    kinds = sorted({str(t.dtype).removeprefix("torch.") for t in tensors.values()})
    words = {"width": "wide", "depth": "layers", "heads": "heads", "ffn": "in the MLP", "channels": "channels"}
    beside = {"VAE": parts.vae, "tiny VAE": parts.tiny_vae, "text encoder": parts.text_encoder, "LoRA": parts.lora}
    return {
        "file": str(parts.transformer),
        "family": found.family or "unknown: say which with --preset or in unreel.yaml",
        "layout": found.checkpoint.layout,
        "network": ", ".join(f"{found.architecture[name]:,} {word}" for name, word in words.items()),
        "parameters": sum(t.numel() for t in tensors.values()),
        "dtype": ", ".join(kinds),
        **{f"{what} keys": names for what, names in found.faults().items()},
        **{name: "not found" if path is None else str(path) for name, path in beside.items()},
    }


def tensors_of(found: Published) -> dict[str, Tensor]:
    """The transformer's tensors, the LoRA beside it merged."""
    if found.parts.lora is None or found.strength == 0:
        return found.checkpoint.tensors
    return merge(found.checkpoint.tensors, read_weights(found.parts.lora), found.strength)


def load(path: Path, device: str | None = None, dtype: str | None = None, wish: Wish | None = None) -> Model:
    """The model of published files, without writing anything.

    Raises:
        UserError: any fault of the files.
    """
    found = read(path, wish)
    return build(card_of(found), found.parts.transformer.parent, tensors_of(found), device, dtype)
