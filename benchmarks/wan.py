"""A cached stream against diffusers' SkyReels-V2 diffusion forcing pipeline: same random weights, steps and schedule.

diffusers runs the whole window in every step; here a chunk is computed when it moves and cached when it is clean. Then
each lever is added alone and together. Latents only, one guidance branch; seconds are of processor time in one thread,
which other processes disturb less than they do the clock. Random weights make no picture, so nothing is said of quality
(`tests/modalities/video/wan/test_against_pipeline.py` shows that the plain stream is the same film).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import torch

from unreel.benchmarks import _tables, _wan
from unreel.engine import registry
from unreel.engine.card import Card
from unreel.engine.errors import UserError
from unreel.engine.model import Model, build
from unreel.modalities.video.wan import keys

FPS = 24
STATIC_HEADS = 4  # of 12, as many as Forcing-KV finds in Self-Forcing (37%)


@dataclass(frozen=True)
class Size:
    """1.3B width, ``depth`` of its layers. ``blocks`` chunks of ``span`` latent frames, ``offset`` steps apart."""

    name: str
    height: int
    width: int
    rounds: int
    depth: int = 2
    blocks: int = 5
    span: int = 2
    steps: int = 6
    offset: int = 1
    levels: tuple[int, ...] = (0, 1, 3, 5)  # computed with reuse

    @property
    def frames(self) -> int:
        return 4 * (self.blocks * self.span - 1) + 1

    @property
    def tokens(self) -> int:
        return self.blocks * self.span * self.height * self.width // 256


P480 = Size("480p", 480, 832, 1, blocks=3, steps=4, levels=(0, 1, 3))
P240 = Size("240p", 240, 416, 2)


def run(quick: bool = False) -> dict[str, Any]:
    """Every variant in turn, ``rounds`` times: A B C D E A B C D E."""
    size = P240 if quick else P480
    torch.set_num_threads(1)
    theirs, ours = networks(size)
    variants: dict[str, Any] = {"diffusers pipeline": None, **levers(size)}
    seconds: dict[str, list[float]] = {name: [] for name in variants}
    work: dict[str, dict[str, int]] = {}
    with torch.inference_mode():
        for _ in range(size.rounds):
            for name, options in variants.items():
                spent, work[name] = pipeline(theirs, size) if options is None else stream(ours, size, options)
                seconds[name].append(spent)
    plain = seconds["diffusers pipeline"]
    rows = [
        {
            "name": name,
            "seconds": median(spent),
            "seconds_per_second": median(spent) / (size.frames / FPS),
            "ratio": _spread([a / b for a, b in zip(plain, spent, strict=True)]),
            **work[name],
        }
        for name, spent in seconds.items()
    ]
    fields = ("name", "height", "width", "depth", "blocks", "span", "steps", "offset", "rounds", "frames", "tokens")
    return {"setting": _tables.setting(), "size": {f: getattr(size, f) for f in fields}, "rows": rows}


def levers(size: Size) -> dict[str, dict[str, Any]]:
    """Session options of every variant of ours."""
    static = [list(range(STATIC_HEADS))] * size.depth
    reuse = {"class": "timestep", "levels": size.levels}
    hybrid = {"class": "hybrid", "static": static, "sink": 1, "recent": size.span, "bank": 1.0}
    return {
        "causal cache": {},
        "causal cache + reuse": {"reuse": reuse},
        "causal cache + hybrid context": {"context": hybrid},
        "causal cache + reuse + hybrid context": {"reuse": reuse, "context": hybrid},
    }


def networks(size: Size) -> tuple[Any, Model]:
    """diffusers' network with random weights, and ours with the same ones."""
    try:
        import diffusers
    except ImportError:
        raise UserError("this benchmark compares with diffusers: pip install 'unreel[wan]'") from None
    torch.manual_seed(1)
    kind: Any = diffusers.SkyReelsV2Transformer3DModel
    theirs = kind(num_attention_heads=12, ffn_dim=8960, num_layers=size.depth, inject_sample_info=True)
    theirs = theirs.to(torch.bfloat16).eval().requires_grad_(False)
    tensors = keys.read(theirs.state_dict()).tensors
    registry.register("codec", "bench-latents", _wan.Latents)
    registry.register("condition", "bench-prompt", _wan.Prompt)
    card = Card(
        name="wan-bench",
        modality="video",
        licence="none: random weights",
        architecture={"class": "wan", **keys.sizes(tensors)},
        codec={"class": "bench-latents"},
        media={"fps": FPS, "height": size.height, "width": size.width},  # type: ignore[arg-type]
        plan={"class": "time", "frames": size.span},
        schedule={"steps": size.steps, "offset": size.offset, "commit": "with-next"},  # type: ignore[arg-type]
        sampler={"class": "multistep", "shift": 8.0},
        conditions={"prompt": {"class": "bench-prompt", "width": 4096}},
    )
    return theirs, build(card, Path(), tensors, "cpu", "bfloat16")


def pipeline(network: Any, size: Size) -> tuple[float, dict[str, int]]:
    """Seconds of the pipeline, and chunks that its network computed."""
    import diffusers

    library: Any = diffusers
    scheduler = library.UniPCMultistepScheduler(prediction_type="flow_prediction", use_flow_sigmas=True, flow_shift=8.0)
    made = library.SkyReelsV2DiffusionForcingPipeline(
        tokenizer=None, text_encoder=None, transformer=network, vae=None, scheduler=scheduler
    )
    made.set_progress_bar_config(disable=True)
    text = torch.randn(1, 512, 4096)
    began = time.process_time()
    made(
        prompt=None, prompt_embeds=text, negative_prompt_embeds=text, height=size.height, width=size.width,
        num_frames=size.frames, num_inference_steps=size.steps, guidance_scale=1.0, ar_step=size.offset,
        causal_block_size=size.span, fps=FPS, output_type="latent",
    )  # fmt: skip
    rows = size.steps + size.offset * (size.blocks - 1)
    return time.process_time() - began, {"chunk_passes": rows * size.blocks, "context_bytes": 0}


def stream(model: Model, size: Size, options: dict[str, Any]) -> tuple[float, dict[str, int]]:
    """Seconds of a session from its first chunk to its last, and chunks that its network computed."""
    session = model.session(seed=1, length=size.blocks, rewind=0, **options)
    began = time.process_time()
    for _ in session.stream():
        pass
    spent = time.process_time() - began
    stats = session.stats
    session.close()
    passes = stats.steps_computed + stats.commit_rows
    return spent, {"chunk_passes": passes, "context_bytes": stats.peak_context_bytes}


def _spread(ratios: list[float]) -> dict[str, float]:
    return {"median": median(ratios), "min": min(ratios), "max": max(ratios)}


def table(results: dict[str, Any]) -> str:
    """Markdown: seconds per second of film, and how many times faster than the pipeline."""
    size = results["size"]
    what = f"Wan 1.3B width, {size['depth']} layers, {size['name']}"
    head = (what, "processor s per s of film", "speed", "chunk passes", "context MB")
    body = [
        [
            row["name"], f"{row['seconds_per_second']:.1f}", _tables.ratio(row["ratio"]), str(row["chunk_passes"]),
            _tables.megabytes(row["context_bytes"]) if row["context_bytes"] else "-",
        ]
        for row in results["rows"]
    ]  # fmt: skip
    note = (
        f"{size['frames']} frames, {size['tokens']:,} tokens, {size['blocks']} chunks of {size['span']} latent frames, "
        f"{size['steps']} steps, offset {size['offset']}, {size['rounds']} round(s) in turn; latents only, one branch."
    )
    return f"{_tables.markdown(head, body)}\n\n{note} {_tables.caption(results['setting'])}"
