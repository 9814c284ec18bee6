"""The same film as diffusers' SkyReels-V2 diffusion forcing pipeline: same weights, noise, levels and sampler."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

pytest.importorskip("diffusers", reason="needs the extra [wan]: diffusers")
pytest.importorskip("transformers", reason="needs the extra [wan]: transformers")

import diffusers
from tiny_wan import sidecar, skyreels, write_layout

import unreel
from unreel.engine.rng import normal

STEPS, SPAN, BLOCKS = 4, 3, 4
SIGMAS = [1.0, 0.667, 0.334, 0.001]  # of diffusers' unshifted Euler: whole timesteps, because the pipeline cuts them


class Euler(diffusers.FlowMatchEulerDiscreteScheduler):
    """The pipeline hands over whole timesteps, which this scheduler refuses by type."""

    def step(self, output: Tensor, timestep: Tensor, sample: Tensor, **options: Any) -> Any:
        return super().step(output, timestep.float(), sample, **options)


class Pipeline(diffusers.SkyReelsV2DiffusionForcingPipeline):
    """diffusers 0.42 cannot be given latents: its own `prepare_latents` returns one value where four are expected."""

    noise: Tensor

    def prepare_latents(self, *arguments: Any, **options: Any) -> Any:
        return self.noise.clone(), self.noise.shape[2], None, 0


def theirs(offset: int, guidance: float, prompt: Tensor, negative: Tensor, noise: Tensor) -> Tensor:
    pipeline = Pipeline(tokenizer=None, text_encoder=None, transformer=skyreels(), vae=None, scheduler=Euler())
    pipeline.noise = noise
    pipeline.set_progress_bar_config(disable=True)
    out = pipeline(
        prompt=None, prompt_embeds=prompt, negative_prompt_embeds=negative, height=32, width=48,
        num_frames=4 * (SPAN * BLOCKS - 1) + 1, num_inference_steps=STEPS, guidance_scale=guidance, ar_step=offset,
        causal_block_size=SPAN, fps=24, output_type="latent",
    )  # fmt: skip
    latents: Tensor = out.frames[0]
    return latents.transpose(0, 1).unflatten(0, (BLOCKS, SPAN))


@pytest.mark.parametrize("guidance", [1.0, 5.0])
@pytest.mark.parametrize("offset", [1, 2, STEPS])
def test_our_cached_stream_equals_their_recomputing_pipeline(tmp_path: Path, offset: int, guidance: float) -> None:
    write_layout(tmp_path / "sky", "diffusers-skyreels")
    sidecar(
        tmp_path / "sky",
        card={
            "plan": {"frames": SPAN},
            "schedule": {"steps": STEPS, "offset": offset, "commit": "with-next"},
            "sampler": {"class": "euler", "sigmas": SIGMAS},
            "guidance": {"scale": guidance},
            "context": {"class": "full"},
        },
    )
    model = unreel.load(tmp_path / "sky", device="cpu", dtype="float32")
    session = model.session(seed=5)
    session.send("prompt", "a red fox")
    ours = torch.stack([session.state.past[e.chunk.index].clean for e in session.stream(chunks=BLOCKS)])
    noise = torch.stack([normal((SPAN, 16, 4, 6), 5, c, 0) for c in range(BLOCKS)]).flatten(0, 1)
    condition, chunk = model.conditions["prompt"], session.plan.chunk(0)
    assert chunk is not None
    prompt, negative = condition.encode("a red fox", chunk, 0), condition.null(chunk)
    expected = theirs(offset, guidance, prompt[None], negative[None], noise.transpose(0, 1)[None])
    assert (ours - expected).abs().max() < 1e-3 * expected.abs().max()
