"""UMT5 of transformers as the condition ``prompt``: a string in, its token features out.

Wan pads features with zeros to 512 tokens and attends to all of them, so every prompt has the same shape.
"""

from __future__ import annotations

import html
from collections import OrderedDict
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

from unreel.engine.errors import UserError
from unreel.engine.types import Chunk
from unreel.modalities.video.wan.files import read_weights

REMEMBERED = 4  # prompts whose features are kept although no session holds them


class PromptCondition:
    """A prompt as a string, or as features (n, width) with n <= ``tokens``. ``null`` is the ``negative`` prompt.

    One prompt is one tensor object as long as a session holds it: the backbone keeps its keys and values by it. The
    encoder is loaded at the first string and runs on ``device``.
    """

    prompts = True  # a switch of it may be answered by recaching or blending, see engine/prompt.py

    def __init__(
        self,
        width: int = 4096,
        tokens: int = 512,
        path: str | None = None,
        tokenizer: str | None = None,
        negative: str = "",
        device: str = "cpu",
    ) -> None:
        self.width, self.tokens, self.negative = width, tokens, negative
        self.path, self.tokenizer, self.device = path, tokenizer, device
        self._encoder: Any = None
        self._recent: OrderedDict[str, Tensor] = OrderedDict()
        self._held: WeakValueDictionary[str, Tensor] = WeakValueDictionary()
        self._null: Tensor | None = None

    def check(self, value: Any) -> str | Tensor:
        if isinstance(value, str):
            self.features(value)
            return value
        features = torch.as_tensor(value, dtype=torch.float32)
        if features.dim() != 2 or features.shape[1] != self.width or not 1 <= features.shape[0] <= self.tokens:
            raise UserError(
                f"a prompt is a string or features (1 to {self.tokens}, {self.width}), got {tuple(features.shape)}"
            )
        return self._padded(features)

    def encode(self, value: Any, chunk: Chunk, since: int) -> Tensor:
        if value is None:
            return self.null(chunk) if self.path is None or self.negative == "" else self._shared("")
        return self._shared(value) if isinstance(value, str) else value

    def null(self, chunk: Chunk) -> Tensor:
        if self._null is None:
            nothing = torch.zeros(self.tokens, self.width)
            self._null = nothing if self.path is None else self.features(self.negative).detach()
        return self._null

    def _shared(self, text: str) -> Tensor:
        """The one tensor object of a prompt, for as long as somebody holds it."""
        held = self._held.get(text)
        if held is None:
            held = self._held[text] = self.features(text).detach()
        return held

    def features(self, text: str) -> Tensor:
        """Features (tokens, width) of a string."""
        if text not in self._recent:
            self._recent[text] = self._encode(text)
            if len(self._recent) > REMEMBERED:
                self._recent.popitem(last=False)
        self._recent.move_to_end(text)
        return self._recent[text]

    def _encode(self, text: str) -> Tensor:
        if self.path is None or self.tokenizer is None:
            missing = "text encoder" if self.path is None else "tokenizer"
            raise UserError(f"this model has no {missing} beside it: give the prompt's features instead of a string")
        if self._encoder is None:
            self._encoder = load_encoder(Path(self.path), Path(self.tokenizer), self.device)
        tokenizer, encoder = self._encoder
        clean = " ".join(html.unescape(html.unescape(text)).split())
        told = tokenizer(
            clean, padding="max_length", max_length=self.tokens, truncation=True, add_special_tokens=True,
            return_attention_mask=True, return_tensors="pt",
        )  # fmt: skip
        with torch.inference_mode():
            mask = told["attention_mask"].to(encoder.device)
            out = encoder(told["input_ids"].to(encoder.device), attention_mask=mask).last_hidden_state[0]
        features = out[: int(mask.sum())].float().cpu()
        if features.shape[1] != self.width:
            raise UserError(f"the text encoder is {features.shape[1]} wide, the model takes {self.width}")
        return self._padded(features)

    def _padded(self, features: Tensor) -> Tensor:
        return torch.nn.functional.pad(features, (0, 0, 0, self.tokens - features.shape[0])).clone()


def load_encoder(path: Path, tokenizer: Path, device: str = "cpu") -> tuple[Any, Any]:
    """Tokenizer and UMT5 encoder from transformers folders, or the encoder from Wan's original ``.pth``.

    Raises:
        UserError: transformers is not installed, or these are no UMT5.
    """
    try:
        from transformers import AutoTokenizer, UMT5EncoderModel
    except ImportError:
        raise UserError("the text encoder needs transformers: pip install 'unreel[wan]'") from None
    try:
        words = AutoTokenizer.from_pretrained(tokenizer, local_files_only=True)
        encoder = _original(path) if path.is_file() else UMT5EncoderModel.from_pretrained(path, local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"cannot read the text encoder {path}: {' '.join(str(error).split())[:200]}") from None
    return words, encoder.eval().requires_grad_(False).to(device)


def _original(path: Path) -> Any:
    """UMT5 out of the file published with Wan 2.1; sizes are read off the tensors."""
    from transformers import UMT5Config, UMT5EncoderModel

    tensors = {n: t for n, t in read_weights(path).items() if isinstance(t, Tensor)}
    if "token_embedding.weight" not in tensors or "blocks.0.attn.q.weight" not in tensors:
        raise UserError(f"{path} is no UMT5 encoder of Wan 2.1: it has no token_embedding and blocks")
    buckets, heads = tensors["blocks.0.pos_embedding.embedding.weight"].shape
    config = UMT5Config(
        vocab_size=tensors["token_embedding.weight"].shape[0],
        d_model=tensors["token_embedding.weight"].shape[1],
        d_kv=tensors["blocks.0.attn.q.weight"].shape[0] // heads,
        d_ff=tensors["blocks.0.ffn.fc1.weight"].shape[0],
        num_layers=1 + max(int(n.split(".")[1]) for n in tensors if n.startswith("blocks.")),
        num_heads=heads,
        relative_attention_num_buckets=buckets,
    )
    encoder = UMT5EncoderModel(config)
    named = {_t5_name(name): tensor for name, tensor in tensors.items()}
    named["encoder.embed_tokens.weight"] = named["shared.weight"]
    own = encoder.state_dict()
    encoder.load_state_dict({n: t for n, t in named.items() if n in own})
    return encoder


_T5 = (
    ("token_embedding.", "shared."),
    ("norm1.", "layer.0.layer_norm."),
    ("norm2.", "layer.1.layer_norm."),
    ("attn.", "layer.0.SelfAttention."),
    ("pos_embedding.embedding.", "layer.0.SelfAttention.relative_attention_bias."),
    ("ffn.gate.0.", "layer.1.DenseReluDense.wi_0."),
    ("ffn.fc1.", "layer.1.DenseReluDense.wi_1."),
    ("ffn.fc2.", "layer.1.DenseReluDense.wo."),
)


def _t5_name(name: str) -> str:
    """A tensor's name in transformers."""
    if name == "norm.weight":
        return "encoder.final_layer_norm.weight"
    head = ""
    if name.startswith("blocks."):
        _, number, name = name.split(".", 2)
        head = f"encoder.block.{number}."
    for old, new in _T5:
        if name.startswith(old):
            return head + new + name.removeprefix(old)
    return head + name
