"""Models on the Hugging Face hub: ``owner/name`` to a folder on this machine. Needs the extra [wan]."""

from __future__ import annotations

import os
import re
from pathlib import Path

from unreel.engine.errors import UserError

BASE = "Wan-AI/Wan2.1-T2V-1.3B"  # whose VAE and text encoder every Wan 2.1 fine-tune shares
BASE_FILES = ("Wan2.1_VAE.pth", "models_t5_umt5-xxl-enc-bf16.pth", "google/*")
WANTED = ("*.safetensors", "*.safetensors.index.json", "*.pt", "*.pth", "*.json", "*.yaml", "*.model")
# Repositories that hold several models: the one that is meant.
MEANT = {
    "gdhe17/Self-Forcing": "checkpoints/self_forcing_dmd.pt",
    "tianweiy/CausVid": "autoregressive_checkpoint/model.pt",
    "krea/krea-realtime-video": "krea-realtime-video-14b.safetensors",
}
_NAME = re.compile(r"[\w.-]+/[\w.-]+(?:/[\w./-]+)?")


def is_repository(name: str | Path) -> bool:
    """Whether a name reads as ``owner/name`` or ``owner/name/file`` and is nothing on this machine."""
    text = str(name)
    return bool(_NAME.fullmatch(text)) and not text.startswith((".", "/")) and not Path(text).exists()


def fetch(name: str) -> Path:
    """The folder (or file) of a repository, downloaded if need be; with the VAE and text encoder of Wan 2.1 beside it.

    Raises:
        UserError: huggingface_hub is not installed, no connection, or no such repository.
    """
    try:
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(
            f"{name!r} is no model or folder here, and the hub cannot be asked: pip install 'unreel[wan]'"
        ) from None
    owner, repository, *inside = f"{name}/{MEANT[name]}".split("/", 2) if name in MEANT else name.split("/", 2)
    try:
        patterns = [inside[0], "*.json", "*.yaml"] if inside else list(WANTED)
        folder = Path(snapshot_download(f"{owner}/{repository}", allow_patterns=patterns))
        path = folder / inside[0] if inside else folder
        if not (folder / "model.yaml").is_file() and not _has_vae(folder):
            _link_base(Path(snapshot_download(BASE, allow_patterns=list(BASE_FILES))), folder)
    except _faults() as error:
        line = " ".join(str(error).split())[:300]
        raise UserError(
            f"cannot get {name!r} from the Hugging Face hub (offline, or no such model?): {line}. "
            "A model on this machine is given by the path of its folder"
        ) from None
    if not path.exists():
        raise UserError(f"{owner}/{repository} has no file {inside[0]}")
    return path


def _faults() -> tuple[type[Exception], ...]:
    """What huggingface_hub raises: its own errors are OSErrors (a bad name a ValueError), httpx's are not."""
    try:
        from httpx import HTTPError
    except ImportError:
        return OSError, ValueError
    return OSError, ValueError, HTTPError


def _has_vae(folder: Path) -> bool:
    return (folder / "vae").is_dir() or (folder / "Wan2.1_VAE.pth").is_file()


def _link_base(base: Path, folder: Path) -> None:
    """Make the base folder findable from the other: as a link, where the file system has links."""
    link = folder / BASE.partition("/")[2]
    if not link.exists():
        os.symlink(base, link, target_is_directory=True)
