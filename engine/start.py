"""What a generation starts from: media, latents or a shipped seed clip, entered into a session as finished chunks."""

from __future__ import annotations

from collections.abc import Sequence
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


def choose(model: Model, seed: int, start: Any, actions: Any) -> tuple[Any, Any, int | None]:
    """The media that ``start`` stands for and the actions taken in it, None for nothing; the number of a seed clip.

    Raises:
        UserError: a seed clip that is not there, or a word.
    """
    if isinstance(start, str) and start == "nothing":
        return None, None, None
    clips = model.seeds.get("frames")
    if start is None or isinstance(start, int):
        if clips is None:
            if start is None:
                return None, None, None
            raise UserError(f"{model.name} ships no seed clips: start from media, or from 'nothing'")
        index = seed % len(clips) if start is None else start
        if not 0 <= index < len(clips):
            raise UserError(f"{model.name} ships seed clips 0 to {len(clips) - 1}, got {index}")
        taken = model.seeds.get("actions")
        return clips[index], None if taken is None else taken[index].tolist(), index
    if isinstance(start, str):
        raise UserError(f"start takes media, the number of a seed clip or 'nothing', got {start!r}")
    return start, actions, None


def _are_latents(media: Any) -> bool:
    return isinstance(media, Tensor) and media.is_floating_point()


def chunks_in(model: Model, media: Any) -> int:
    """Whole chunks in media or latents; a single picture makes one."""
    if _are_latents(media):
        return max(1, len(media) // int(model.card.plan["frames"]))
    return max(1, (len(media) + model.lead) // model.frames_per_chunk)


def prefill(session: Session, media: Any, actions: Any, chunks: int, clip: int | None = None) -> None:
    """Enter the last ``chunks`` of the media into a session that begins, as finished chunks; ``clip``: its number.

    Raises:
        UserError: frames or latents of another size.
    """
    pasts, session.state.codec = opening(session, media, actions, chunks)
    session.state.clip = clip
    enter(session, pasts)
    session.mark_origin()


def enter(session: Session, pasts: Sequence[Past]) -> None:
    """Take finished chunks into a session that has no past yet."""
    for past in pasts:
        session.state.next = past.chunk.index + 1
        finish.remember(session, past)


def opening(
    session: Session, media: Any, actions: Any, chunks: int, first: int = 0
) -> tuple[list[Past], dict[str, Tensor]]:
    """The last ``chunks`` of the media as finished chunks from index ``first`` on, and the codec's state after them.

    Latents (a float tensor (T, C, H, W)) are taken as they are; frames go through the codec. A single picture is held
    for one chunk. A codec with a memory decodes them too, so that what follows continues them.

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
    pasts, codec = [], model.codec.new_state()
    for index in range(chunks):
        chunk = session.plan.chunk(first + index, session.state.route)
        assert chunk is not None, "a plan is longer than its start"
        at = index * per_chunk
        clean = latents[at : at + chunk.frames].float()
        pasts.append(Past(chunk, clean, _told(model, chunk, taken, chunk.start - at)))
        if model.lead or getattr(model.codec, "remembers", False):
            _, codec = model.codec.decode(clean, codec)
    return pasts, codec


def _fitted(model: Model, media: Any, chunks: int) -> Any:
    """Where the first latent stands for fewer frames: exactly the frames of so many chunks, the last one repeated."""
    if not model.lead:
        return media
    frames = np.asarray(media)[-(chunks * model.frames_per_chunk - model.lead) :]
    short = chunks * model.frames_per_chunk - model.lead - len(frames)
    return np.concatenate([frames, frames[-1:].repeat(short, axis=0)]) if short else frames


def _told(model: Model, chunk: Chunk, actions: list[int] | None, since: int) -> dict[str, Tensor]:
    held = {"action": Held(model.conditions["action"].check(actions), since)} if actions is not None else {}
    return {
        name: condition.encode(held[name].value, chunk, since) if name in held else condition.null(chunk)
        for name, condition in model.conditions.items()
    }
