"""``POST /v1/views``: a photo or a clip, and how it was taken, as what a session is given to look at.

The file goes to a temporary folder under a name of our own, is checked before it is decoded (kind, size, length) and
is gone when the answer is sent; what stays is the small view that was made of it, for some minutes, under a secret.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import av
from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from PIL import Image
from starlette.datastructures import FormData, UploadFile
from starlette.types import Message

from unreel.engine.errors import UserError
from unreel.engine.model import Model
from unreel.streaming.present import manner
from unreel.streaming.views import Views

ANGLES = ("fov", "yaw", "pitch", "roll")
FILES = ("file", "camera")
FRAMES = 2400  # of a clip
PIXELS = 50_000_000  # of one picture
# Only these containers: others (playlists, lists of files) could make a reader open more than what was sent.
CLIPS = ((0, b"\x1a\x45\xdf\xa3", ".webm"), (4, b"ftyp", ".mp4"), (4, b"moov", ".mov"), (8, b"AVI ", ".avi"))


def router(views: Views, models: Mapping[str, Model], largest: int) -> APIRouter:
    """``largest`` is how many bytes an upload may have."""
    routes = APIRouter()
    turn = asyncio.Semaphore(1)  # decoding takes a core

    @routes.post("/v1/views")
    async def create(request: Request) -> Response:
        async with bounded(request, largest).form(max_files=2, max_fields=8, max_part_size=8192) as form:
            name = str(form.get("model") or _default(models))
            model = models.get(name)
            if model is None:
                raise HTTPException(400, f"models here: {', '.join(models)}; got {name[:64]!r}")
            try:
                async with turn:
                    value = await asyncio.to_thread(_read, model, form)
            except UserError as error:
                raise HTTPException(400, str(error)[:300]) from None
        frames, height, width = value["frames"].shape[:3]
        about = {"frames": frames, "height": height, "width": width, "model": name, "expires_in_s": views.keep_s}
        return JSONResponse({"id": views.put(name, value), "object": "view", **about}, 201)

    return routes


def _default(models: Mapping[str, Model]) -> str:
    """The first model that takes views."""
    return next((name for name, model in models.items() if "view" in model.controls), next(iter(models)))


def bounded(request: Request, largest: int) -> Request:
    """The same request, refused as soon as it has sent too much, whatever length it claimed."""
    got = 0

    async def receive() -> Message:
        nonlocal got
        message = await request.receive()
        got += len(message.get("body", b""))
        if got > largest:
            raise HTTPException(413, f"an upload has at most {largest} bytes")
        return message

    return Request(request.scope, receive)


def _read(model: Model, form: FormData) -> dict[str, Any]:
    """The view of a form, on a thread of its own."""
    reader = manner(model.card.modality).view
    if reader is None or "view" not in model.controls:
        raise UserError(f"{model.name} takes no view")
    inputs: dict[str, Any] = {name: _number(name, form[name]) for name in ANGLES if form.get(name)}
    folder = Path(tempfile.mkdtemp(prefix="unreel-view-"))
    try:
        for name in FILES:
            part = form.get(name)
            if isinstance(part, UploadFile):
                with (folder / name).open("wb") as out:
                    shutil.copyfileobj(part.file, out)
        if not (folder / "file").exists():
            raise UserError("an upload needs a part called file: a photo or a clip")
        kind, path = _checked(folder / "file")
        inputs[kind] = str(path)
        if (folder / "camera").exists():
            inputs["camera"] = str(folder / "camera")
        return reader(model, inputs)
    except UserError as error:
        raise UserError(str(error).replace(str(folder) + "/", "")) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _number(name: str, value: Any) -> float:
    try:
        return float(str(value))
    except ValueError:
        raise UserError(f"{name} is a number of degrees, got {str(value)[:32]!r}") from None


def _checked(path: Path) -> tuple[str, Path]:
    """Whether it is an ``image`` or a ``video``, and its path with a suffix; UserError where it is neither, or vast."""
    with path.open("rb") as file:
        head = file.read(16)
    suffix = next((suffix for at, magic, suffix in CLIPS if head[at : at + len(magic)] == magic), None)
    if suffix is not None and b"avif" not in head and b"heic" not in head:
        _check_clip(path)
        return "video", path.rename(path.with_suffix(suffix))
    try:
        with Image.open(path) as image:
            width, height = image.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError, Image.DecompressionBombWarning):
        raise UserError("the file is neither a picture nor an MP4, MOV, WebM or AVI") from None
    if width * height > PIXELS:
        raise UserError(f"a picture has at most {PIXELS // 10**6} million pixels, got {width}x{height}")
    return "image", path


def _check_clip(path: Path) -> None:
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise UserError("the clip has no picture in it (no video stream)")
            stream = container.streams.video[0]
            if stream.width * stream.height > PIXELS:
                raise UserError(
                    f"a clip has at most {PIXELS // 10**6} million pixels, got {stream.width}x{stream.height}"
                )
            for count, _ in enumerate(container.demux(stream)):
                if count > FRAMES:
                    raise UserError(f"a clip has at most {FRAMES} frames here; send a shorter one")
    except (av.FFmpegError, OSError, ValueError, IndexError) as error:
        raise UserError(f"the clip cannot be read: {' '.join(str(error).split())[:120]}") from None
