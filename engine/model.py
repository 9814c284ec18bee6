"""A model: card, network and codec. Immutable while sessions run on it."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from unreel.engine import attention, ending, registry
from unreel.engine import start as starting
from unreel.engine.card import Card, located, read_card
from unreel.engine.context.profile import profile_path, read_profile
from unreel.engine.errors import UserError
from unreel.engine.interfaces import Backbone, Codec, Condition
from unreel.engine.options import preset_of, settled
from unreel.engine.session import Session
from unreel.engine.settings import Settings
from unreel.engine.types import Chunk
from unreel.engine.weights import fill, read_tensors

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def best_dtype(device: str) -> torch.dtype:
    """bfloat16 where the processor multiplies it natively, float32 elsewhere."""
    if device.startswith("cuda"):
        return torch.bfloat16
    checks = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    native = any(getattr(torch.cpu, name, lambda: False)() for name in checks)
    return torch.bfloat16 if native else torch.float32


class Model:
    """Made by ``unreel.load``. ``session()`` starts a generation; any number may run on one model."""

    def __init__(self, card: Card, backbone: Backbone, codec: Codec, device: str, dtype: torch.dtype) -> None:
        self.card, self.name = card, card.name
        self.backbone, self.codec = backbone, codec
        self.device, self.dtype = device, dtype
        self.attention = attention.resolve("auto", device)
        self.conditions: dict[str, Condition] = {
            name: registry.create("condition", {"class": name, **spec}) for name, spec in card.conditions.items()
        }
        self.ending = ending.of_model(self)
        self.seeds: dict[str, Tensor] = {}
        self.heads: tuple[tuple[int, ...], ...] = ()  # static heads of every layer, where they were profiled
        self.coords = lru_cache(maxsize=64)(self._coords)

    @property
    def fps(self) -> float:
        return self.card.media.fps

    @property
    def frame_size(self) -> tuple[int, int]:
        """Height and width of a frame, in pixels."""
        return self.card.media.height, self.card.media.width

    @property
    def controls(self) -> dict[str, Any]:
        """What a user may send besides the steering words: conditions, and what steers the plan."""
        return {**self.conditions, **self._plan_trait("controls", {})}

    @property
    def regions(self) -> int:
        """Generated chunks that share a span of time: 6 for the faces of a cube, 1 for whole frames."""
        return int(self._plan_trait("regions", 1))

    def _plan_trait(self, name: str, default: Any) -> Any:
        kind = self.card.plan.get("class", "time")
        return default if kind == "time" else getattr(registry.find("plan", kind), name, default)

    @property
    def actions(self) -> tuple[str, ...]:
        """The keys this model obeys; empty when it takes none."""
        return getattr(self.conditions.get("action"), "keys", ())

    @property
    def frames_per_chunk(self) -> int:
        """Media frames in one chunk, the first of a stream excepted: that one has ``lead`` fewer."""
        return int(self.card.plan.get("frames", 1)) * int(getattr(self.codec, "frames_per_latent", 1))

    @property
    def lead(self) -> int:
        """How many frames fewer the very first latent of a stream stands for (Wan: 1 instead of 4, so 3)."""
        whole = int(getattr(self.codec, "frames_per_latent", 1))
        return whole - int(getattr(self.codec, "first_frames", whole))

    def session(
        self,
        seed: int = 0,
        start: Any = None,
        *,
        start_actions: Any = None,
        actions: Any = None,
        steps: int | None = None,
        offset: int | None = None,
        commit: str | None = None,
        sampler: str | None = None,
        guidance: float | None = None,
        context: str | dict[str, Any] | None = None,
        reuse: str | dict[str, Any] | None = None,
        length: int | None = None,
        preset: str | None = None,
        prompt_switch: str | dict[str, Any] | None = None,
        rewind: int = 16,
        decode: bool = True,
        restart: bool | None = None,
    ) -> Session:
        """Start a generation.

        Args:
            start: media the world begins with (video: uint8 frames (T, H, W, 3), or float latents (T, C, H, W)),
                the number of a shipped seed clip, ``"nothing"``, or None: the seed clip that ``seed`` picks, nothing
                where none is shipped.
            start_actions: the actions taken during ``start``, one per frame.
            actions: actions in force from the first chunk on.
            steps, offset, commit, sampler, guidance, context, reuse: overrides of the card, see ``unreel inspect``.
            preset: a named set of these options from the card (``exact``, ``balanced``, ``fast``); others given win.
            prompt_switch: ``recache``, ``swap`` or ``blend`` (see ``engine/prompt.py``).
            length: end after so many chunks (``start`` not counted); None is endless.
            rewind: how many chunks back ``Session.rewind`` can go.
            decode: False leaves out the codec: events carry the clean latents of their chunk.
            restart: begin anew when the world is over (see ``engine/ending.py``); None: where the card has an ending.

        Raises:
            UserError: an option this model cannot honour.
        """
        options = {
            "seed": seed, "steps": steps, "offset": offset, "commit": commit, "sampler": sampler,
            "guidance": guidance, "context": context, "reuse": reuse, "rewind": rewind,
            "prompt_switch": prompt_switch, "decode": decode, "restart": restart,
        }  # fmt: skip
        if preset is not None:
            options = {**options, **preset_of(self.card, preset, options)}
        if length is not None and length < 1:
            raise UserError(f"length must be 1 chunk or more, got {length}")
        media, given_actions, clip = starting.choose(self, seed, start, start_actions)
        given = 0 if media is None else starting.chunks_in(self, media)
        session = Session(self, self.settings(options, None if length is None else length + given))
        if media is not None:
            starting.prefill(session, media, given_actions, given, clip)
        if actions is not None:
            session.send("action", actions)
        return session

    def restore(self, path: str | Path) -> Session:
        """The session saved by ``Session.snapshot``, to be continued bit for bit."""
        from unreel.engine.snapshot import load

        return load(self, Path(path))

    def settings(self, options: Mapping[str, Any], length: int | None) -> Settings:
        """The card's defaults with ``options`` (the overrides of ``session``) laid over them."""
        return settled(self, options, length)

    # ---- small services ----------------------------------------------------------------------------------

    def signal(self, state: Tensor) -> Tensor:
        with torch.inference_mode():
            return self.backbone.signal(state.to(self.device, self.dtype)).float()

    def together(self, name: str, values: Sequence[Tensor]) -> Any:
        """One condition of all rows of a call, as the backbone takes it: stacked, unless it has a way of its own."""
        own = getattr(self.backbone, "together", None)
        return torch.stack(list(values)).to(self.device) if own is None else own(name, values)

    def _coords(self, shape: tuple[int, ...], region: str = "") -> Tensor:
        """Coordinates (L, A) of a chunk's tokens; ``region`` matters to backbones that ask for it."""
        regional = "region" in inspect.signature(self.backbone.coords).parameters
        return self.backbone.coords(shape, region) if regional else self.backbone.coords(shape)

    def coords_of(self, chunk: Chunk) -> Tensor:
        coords: Tensor = self.coords(chunk.shape, chunk.region)
        return coords

    def scalar(self, value: float) -> Tensor:
        return torch.tensor(value)

    def zeros(self, shape: tuple[int, ...]) -> Tensor:
        return torch.zeros(shape, device=self.device)


def load_model(
    card_path: Path, weights: Path, device: str | None = None, dtype: str | None = None, seed: int | None = None
) -> Model:
    """Build the model of a card; ``weights`` is the folder its tensor files lie in.

    ``seed`` makes random weights instead (for tests and for measuring at published geometry).

    Raises:
        UserError: any fault of the card or the weights.
    """
    card = read_card(card_path)
    if seed is None and card.weights is None:
        raise UserError(f"{card_path} names no weights: add `weights: FILE.safetensors`")
    tensors = read_tensors(weights / str(card.weights)) if seed is None else None
    return build(card, weights, tensors, device, dtype, seed)


def build(
    card: Card,
    folder: Path,
    tensors: dict[str, Tensor] | None,
    device: str | None = None,
    dtype: str | None = None,
    seed: int | None = None,
) -> Model:
    """The model of a card and its tensors (None: random ones); ``folder`` is where other files of it lie.

    Raises:
        UserError: any fault of the card or the weights.
    """
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    if dtype is not None and dtype not in DTYPES:
        raise UserError(f"dtype must be one of {', '.join(DTYPES)}, got {dtype!r}")
    name = card.architecture.get("class")
    lazily = tensors is not None and isinstance(name, str) and getattr(registry.find("backbone", name), "lazy", False)
    with torch.random.fork_rng(), torch.device("meta") if lazily else nullcontext():
        torch.manual_seed(seed or 0)
        backbone = registry.create("backbone", card.architecture)
    assert isinstance(backbone, nn.Module)
    if tensors is not None:
        fill(backbone, tensors, folder / (card.weights or ""), assign=lazily)
    plain = device == "cpu" and getattr(backbone, "float32_on_cpu", False)
    kind = DTYPES[dtype] if dtype is not None else torch.float32 if plain else best_dtype(device)
    backbone.requires_grad_(False).eval().to(device, kind)
    card = card.model_copy(update={n: located(getattr(card, n), folder) for n in ("codec", "conditions")})
    codec = registry.create("codec", card.codec)
    if hasattr(codec, "bind"):
        codec.bind(device, kind)
    model = Model(card, backbone, codec, device, kind)  # type: ignore[arg-type]
    if card.seeds is not None:
        model.seeds = read_tensors(folder / card.seeds)
    model.heads = read_profile(profile_path(card.name, folder))
    return model
