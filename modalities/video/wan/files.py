"""Which files of a folder are what: transformer, VAE, text encoder, LoRA. Reads weights, never unpickles.

Layouts (as published): the original Wan folder, a fine-tune's ``.pt`` next to or above it, a diffusers folder.
"""

from __future__ import annotations

import json
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from unreel.engine.errors import UserError
from unreel.engine.weights import read_tensors

PICKLES = (".pt", ".pth", ".bin", ".ckpt")
SUFFIXES = (".safetensors", *PICKLES)
OTHERS = ("vae", "t5", "lora", "clip", "taew", "taehv")  # in the names of files that are no transformer
SUBFOLDERS = ("transformer", "checkpoints", "models", "autoregressive_checkpoint")
VAE_FILES = ("Wan2.1_VAE.safetensors", "Wan2.1_VAE.pth")
TINY_FILES = ("taew2_1.safetensors", "taew2_1.pth")
T5_FILES = ("models_t5_umt5-xxl-enc-bf16.safetensors", "models_t5_umt5-xxl-enc-bf16.pth")
TOKENIZERS = ("tokenizer", "google/umt5-xxl")


@dataclass(frozen=True)
class Parts:
    """Where the parts of one model lie; None for what is not there."""

    transformer: Path
    vae: Path | None = None
    tiny_vae: Path | None = None
    text_encoder: Path | None = None
    tokenizer: Path | None = None
    lora: Path | None = None


def read_weights(path: Path) -> Mapping[str, Any]:
    """The content of one weights file, or of a folder of them (with or without an index).

    Raises:
        UserError: missing, damaged, or a pickle of more than tensors, which is never opened.
    """
    if path.is_dir():
        merged: dict[str, Any] = {}
        for shard in shards(path):
            merged.update(read_weights(shard))
        return merged
    if path.suffix not in PICKLES:
        return read_tensors(path)
    try:
        content: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except pickle.UnpicklingError:
        raise UserError(f"{path} holds more than tensors, which could run code when opened: it is not read") from None
    except (OSError, RuntimeError, EOFError, ValueError) as error:
        line = " ".join(str(error).split())[:200]
        raise UserError(f"{path} is not a whole PyTorch file (cut off? download it again): {line}") from None
    return content


def shards(folder: Path) -> list[Path]:
    """The files of a folder that together are one model.

    Raises:
        UserError: none, a part that an index names is missing, or several that belong to different models.
    """
    for index in sorted(folder.glob("*.safetensors.index.json")):
        names = sorted(set(json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()))
        missing = [name for name in names if not (folder / name).is_file()]
        if missing:
            raise UserError(f"{index} names files that are not there: {', '.join(missing)}; download them too")
        return [folder / name for name in names]
    found = [p for p in _weights(folder) if not any(word in p.name.lower() for word in OTHERS)]
    if len(found) > 1 and not all("-of-" in p.name for p in found):
        best = [p for p in found if p.suffix == ".safetensors"]
        if len(best) != 1:
            raise UserError(f"{folder} holds several models ({', '.join(p.name for p in found)}): give one file's path")
        found = best
    return found


def _weights(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES) if folder.is_dir() else []


def _beside(root: Path, transformer: Path) -> list[Path]:
    place = transformer if transformer.is_dir() else transformer.parent
    return [*_weights(root), *(_weights(place) if place != root else [])]


def find(path: Path, base: Path | None = None) -> Parts:
    """The parts of the model at ``path`` (a file or a folder); VAE and text encoder may lie in a ``base`` folder.

    Raises:
        UserError: no transformer there.
    """
    if path.is_file():
        transformer, root = path, path.parent
    else:
        transformer, root = _transformer(path), path
    places = list(_places(root, base))
    return Parts(
        transformer,
        vae=_first(places, VAE_FILES) or _first_folder(places, "vae"),
        tiny_vae=_first(places, TINY_FILES),
        text_encoder=_first(places, T5_FILES) or _first_folder(places, "text_encoder"),
        tokenizer=next((p / t for p in places for t in TOKENIZERS if (p / t).is_dir()), None),
        lora=next((p for p in _beside(root, transformer) if "lora" in p.name.lower() and p != transformer), None),
    )


def _transformer(folder: Path) -> Path:
    for place in (folder, *(folder / name for name in SUBFOLDERS)):
        if shards(place) if place.is_dir() else ():
            files = shards(place)
            return files[0] if len(files) == 1 else place
    raise UserError(f"{folder} holds no weights ({', '.join(SUFFIXES)})")


def _places(root: Path, base: Path | None) -> Iterable[Path]:
    """Folders that may hold the parts a fine-tune shares with Wan 2.1, nearest first."""
    if base is not None:
        if not base.is_dir():
            raise UserError(f"the base folder {base} does not exist: expected the folder of Wan2.1-T2V")
        yield base
    for place in (root, root.parent):
        yield place
        yield from sorted(p for p in place.glob("Wan2.1-*") if p.is_dir())


def _first(places: Iterable[Path], names: Iterable[str]) -> Path | None:
    return next((p / name for p in places for name in names if (p / name).is_file()), None)


def _first_folder(places: Iterable[Path], name: str) -> Path | None:
    return next((p / name for p in places if (p / name / "config.json").is_file()), None)
