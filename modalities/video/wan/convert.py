"""Published files to a folder of ours: model.yaml, safetensors, and the VAE and text encoder beside them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file

from unreel.engine.errors import UserError
from unreel.modalities.video.wan import published
from unreel.modalities.video.wan.files import read_weights
from unreel.modalities.video.wan.published import Published
from unreel.modalities.video.wan.text import load_encoder
from unreel.modalities.video.wan.vae import load_vae

WEIGHTS = "transformer.safetensors"
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def convert(path: Path, folder: Path, wish: published.Wish | None = None, dtype: str = "bfloat16") -> Path:
    """Write the folder; every file in it is safetensors, YAML or JSON. Returns the card's path.

    Raises:
        UserError: any fault of the files, an unknown dtype, or a folder that is not empty.
    """
    if dtype not in DTYPES:
        raise UserError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    if folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: give a new folder")
    found = published.read(path, wish)
    card = published.card_of(found)
    faults = {what: names for what, names in found.faults().items() if names}
    if faults.get("missing") or faults.get("of another shape"):
        raise UserError(f"{path} is not whole: " + "; ".join(f"{len(n)} {w} ({n[0]}, ...)" for w, n in faults.items()))
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {n: t for n, t in published.tensors_of(found).items() if n not in faults.get("unexpected", ())}
    save_file({n: t.to(DTYPES[dtype]).contiguous() for n, t in tensors.items()}, folder / WEIGHTS)
    written = {**card.model_dump(exclude_defaults=True), "weights": WEIGHTS}
    written["codec"] = {**written["codec"], **_codec(found, folder)}
    written["conditions"] = {"prompt": {**written["conditions"]["prompt"], **_text(found, folder)}}
    (folder / "model.yaml").write_text(yaml.safe_dump(_plain(written), sort_keys=False), encoding="utf-8")
    return folder / "model.yaml"


def _codec(found: Published, folder: Path) -> dict[str, str]:
    written = {}
    if found.parts.vae is not None:
        load_vae(found.parts.vae).save_pretrained(folder / "vae")
        written["path"] = "./vae"
    if found.parts.tiny_vae is not None:
        tiny = {n: t.contiguous() for n, t in read_weights(found.parts.tiny_vae).items() if n.startswith("decoder.")}
        save_file(tiny, folder / "tiny.safetensors")
        written["tiny"] = "./tiny.safetensors"
    return written


def _text(found: Published, folder: Path) -> dict[str, str]:
    written = {}
    if found.parts.tokenizer is not None:
        shutil.copytree(found.parts.tokenizer, folder / "tokenizer")
        written["tokenizer"] = "./tokenizer"
    if found.parts.text_encoder is not None and found.parts.tokenizer is not None:
        load_encoder(found.parts.text_encoder, found.parts.tokenizer)[1].save_pretrained(folder / "text_encoder")
        written["path"] = "./text_encoder"
    return written


def _plain(value: Any) -> Any:
    """Only what ``yaml.safe_dump`` knows."""
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value
