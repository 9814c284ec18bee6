"""Names of the tensors in published Wan checkpoints, brought to one form: that of the original Wan 2.1 files.

Knows nothing of files or networks. What is published differs in three ways: a wrapper around the tensors
(``{"generator_ema": {...}}``), prefixes left by training (``model.``, FSDP, compile), and diffusers' own names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from unreel.engine.errors import UserError

# Outer names, best first: Self-Forcing and LongLive publish an average ("ema") next to the raw weights.
WRAPPERS = ("generator_ema", "generator", "model", "state_dict", "module")
LORA_WRAPPERS = ("generator_lora", "lora")
ROOTS = (
    "patch_embedding", "text_embedding", "time_embedding", "time_projection", "blocks", "head", "fps_embedding",
    "fps_projection", "img_emb", "condition_embedder", "proj_out", "scale_shift_table",
)  # fmt: skip
_ROOT = re.compile(rf"(?:^|\.)((?:{'|'.join(ROOTS)})(?:\.|$))")
_TRAINING = re.compile(r"(?:_fsdp_wrapped_module|_checkpoint_wrapped_module|_orig_mod)\.")

# diffusers' names to the original ones. In diffusers norm2 is the norm before cross-attention, in the original norm3.
_DIFFUSERS = (
    (r"^condition_embedder\.time_embedder\.linear_1\.", "time_embedding.0."),
    (r"^condition_embedder\.time_embedder\.linear_2\.", "time_embedding.2."),
    (r"^condition_embedder\.text_embedder\.linear_1\.", "text_embedding.0."),
    (r"^condition_embedder\.text_embedder\.linear_2\.", "text_embedding.2."),
    (r"^condition_embedder\.time_proj\.", "time_projection.1."),
    (r"^fps_projection\.net\.0\.proj\.", "fps_projection.0."),
    (r"^fps_projection\.net\.2\.", "fps_projection.2."),
    (r"^proj_out\.", "head.head."),
    (r"^scale_shift_table$", "head.modulation"),
    (r"\.scale_shift_table$", ".modulation"),
    (r"\.attn1\.", ".self_attn."),
    (r"\.attn2\.", ".cross_attn."),
    (r"\.to_([qkv])\.", r".\1."),
    (r"\.to_out\.0\.", ".o."),
    (r"\.norm2\.", ".norm3."),
    (r"\.ffn\.net\.0\.proj\.", ".ffn.0."),
    (r"\.ffn\.net\.2\.", ".ffn.2."),
)
_RENAMES = tuple((re.compile(pattern), name) for pattern, name in _DIFFUSERS)


@dataclass(frozen=True)
class Checkpoint:
    """Tensors under their original names. ``layout`` says in words how they were published."""

    tensors: dict[str, Tensor]
    layout: str
    strange: tuple[str, ...] = field(default=())  # names that belong to no Wan transformer


def unwrap(content: Mapping[str, Any], wrappers: tuple[str, ...] = WRAPPERS) -> tuple[dict[str, Tensor], str]:
    """The tensors inside, and the wrapper they were in (empty for none).

    Raises:
        UserError: no tensors.
    """
    for name in wrappers:
        if isinstance(content.get(name), Mapping):
            tensors, inner = unwrap(content[name], wrappers)
            return tensors, f"{name}.{inner}".rstrip(".")
    tensors = {name: value for name, value in content.items() if isinstance(value, Tensor)}
    if not tensors:
        raise UserError(f"no tensors in it: expected weights, or one of {', '.join(wrappers)}; got {list(content)[:5]}")
    return tensors, ""


def original(name: str) -> str | None:
    """The name in an original Wan 2.1 file, or None for a name that has no place there."""
    name = _TRAINING.sub("", name)
    found = _ROOT.search(name)
    if found is None:
        return None
    name = name[found.start(1) :]
    for pattern, to in _RENAMES:
        name = pattern.sub(to, name)
    return name


def read(content: Mapping[str, Any]) -> Checkpoint:
    """Any published layout, told apart by its names alone.

    Raises:
        UserError: no Wan transformer in it.
    """
    tensors, wrapper = unwrap(content)
    named: dict[str, Tensor] = {}
    strange = []
    for name, tensor in tensors.items():
        new = original(name)
        if new is None:
            strange.append(name)
        else:
            named[new] = tensor
    if "patch_embedding.weight" not in named or not any(n.startswith("blocks.0.") for n in named):
        some = ", ".join(list(tensors)[:3])
        raise UserError(f"not a Wan transformer: it has no patch_embedding and blocks (its tensors: {some}, ...)")
    style = "diffusers names" if any("attn1" in n or "to_q" in n for n in tensors) else "original names"
    prefix = _prefix(tensors)
    layout = style + (f" under {wrapper!r}" if wrapper else "") + (f", prefix {prefix!r}" if prefix else "")
    return Checkpoint(named, layout, tuple(strange))


def _prefix(tensors: Mapping[str, Tensor]) -> str:
    """What stands before ``patch_embedding`` in the file."""
    name = next((n for n in tensors if n.endswith("patch_embedding.weight")), "")
    return name.removesuffix("patch_embedding.weight")


def sizes(tensors: Mapping[str, Tensor], heads: int | None = None) -> dict[str, Any]:
    """The options of ``WanBackbone`` that fit these tensors. Heads are 128 wide in every published model.

    Raises:
        UserError: a member of the family that is not supported, by name of what it needs.
    """
    patch = tensors["patch_embedding.weight"]
    width, channels = patch.shape[0], patch.shape[1]
    out = tensors["head.head.weight"].shape[0] // 4 if "head.head.weight" in tensors else channels
    if any(n.startswith("img_emb.") or ".k_img." in n for n in tensors):
        raise UserError("this checkpoint takes CLIP image features (Wan 2.1 I2V), which are not supported: use T2V")
    if tuple(patch.shape[2:]) != (1, 2, 2) or out != channels:
        raise UserError(
            f"expected patches of 1x2x2 and as many channels out as in, "
            f"got {tuple(patch.shape[2:])}, {channels} in and {out} out"
        )
    if heads is None and width % 128:
        raise UserError(f"width {width} is no multiple of 128, so the number of heads must be given (--heads)")
    depth = 1 + max(int(n.split(".")[1]) for n in tensors if n.startswith("blocks."))
    found = {
        "width": width,
        "depth": depth,
        "heads": heads or width // 128,
        "ffn": tensors["blocks.0.ffn.0.weight"].shape[0],
        "channels": channels,
        "text_width": tensors["text_embedding.0.weight"].shape[1],
        "time_width": tensors["time_embedding.0.weight"].shape[1],
    }
    return {**found, "fps": 24} if "fps_embedding.weight" in tensors else found
