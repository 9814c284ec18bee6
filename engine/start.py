"""What a generation starts from: media, latents or a shipped seed clip, entered into a session as finished chunks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from unreel.engine import finish
from unreel.engine.errors import UserError
from unreel.engine.state import Held, Past
from unreel.engine.types import Chunk

if TYPE_CHECKING:
    from unreel.engine.model import Model
    from unreel.engine.session import Session


def choose(model: Model, seed: int, start: Any, actions: Any) -> tuple[Any, Any]:
    """The media that ``start`` stands for and the actions taken in it; None for nothing.

    Raises:
        UserError: a seed clip that is not there, or a word.
    """
    if isinstance(start, str) and start == "nothing":
        return None, None
    clips = model.seeds.get("frames")
    if start is None or isinstance(start, int):
        if clips is None:
            if start is None:
                return None, None
            raise UserError(f"{model.name} ships no seed clips: start from media, or from 'nothing'")
        index = seed % len(clips) if start is None else start
        if not 0 <= index < len(clips):
            raise UserError(f"{model.name} ships seed clips 0 to {len(clips) - 1}, got {index}")
        taken = model.seeds.get("actions")
        return clips[index], None if taken is None else taken[index].tolist()
    if isinstance(start, str):
        raise UserError(f"start takes media, the number of a seed clip or 'nothing', got {start!r}")
    return start, actions


def _are_latents(media: Any) -> bool:
    return isinstance(media, Tensor) and media.is_floating_point()


def chunks_in(model: Model, media: Any) -> int:
    """Whole chunks in media or latents; a single picture makes one."""
    if _are_latents(media):
        return max(1, len(media) // int(model.card.plan["frames"]))
    return max(1, (len(media) + model.lead) // model.frames_per_chunk)


def prefill(session: Session, media: Any, actions: Any, chunks: int) -> None:
    """Enter the last ``chunks`` of the media into the session as finished chunks; a single picture is held for one.

    Latents (a float tensor (T, C, H, W)) are taken as they are; frames go through the codec.

    A codec with a memory decodes them too, so that what follows continues them.

    Raises:
        UserError: frames or latents of another size.
    """
    model, per_chunk = session.model, int(session.model.card.plan["frames"])
    latents = (media if _are_latents(media) else model.codec.encode(_fitted(model, media, chunks))).to(model.device)
    if latents.shape[1:] != (shape := model.codec.latent_shape(1, *model.frame_size))[1:]:
        raise UserError(f"a start has latents (frames, {', '.join(map(str, shape[1:]))}), got {tuple(latents.shape)}")
    if len(latents) < per_chunk:
        latents = torch.cat([latents, latents[-1:].expand(per_chunk - len(latents), *latents.shape[1:])])
    latents = latents[-chunks * per_chunk :]
    taken = None if actions is None else [int(a) for a in actions][-chunks * per_chunk :]
    for index in range(chunks):
        chunk = session.plan.chunk(index, session.state.route)
        assert chunk is not None, "a plan is longer than its start"
        told = _told(model, chunk, taken)
        clean = latents[chunk.start : chunk.start + chunk.frames].float()
        session.state.next = index + 1
        finish.remember(session, Past(chunk, clean, told))
        if model.lead or getattr(model.codec, "remembers", False):
            _, session.state.codec = model.codec.decode(clean, session.state.codec)
    session.mark_origin()


def _fitted(model: Model, media: Any, chunks: int) -> Any:
    """Where the first latent stands for fewer frames: exactly the frames of so many chunks, the last one repeated."""
    if not model.lead:
        return media
    frames = np.asarray(media)[-(chunks * model.frames_per_chunk - model.lead) :]
    short = chunks * model.frames_per_chunk - model.lead - len(frames)
    return np.concatenate([frames, frames[-1:].repeat(short, axis=0)]) if short else frames


def _told(model: Model, chunk: Chunk, actions: list[int] | None) -> dict[str, Tensor]:
    held = {"action": Held(model.conditions["action"].check(actions), 0)} if actions is not None else {}
    return {
        name: condition.encode(held[name].value, chunk, 0) if name in held else condition.null(chunk)
        for name, condition in model.conditions.items()
    }
