"""``/v1/videos``: the routes that OpenAI's clients know, on top of ``Jobs``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from unreel.engine.batch import Full
from unreel.engine.errors import UserError
from unreel.streaming.jobs import Job, Jobs

LARGEST = 32_768  # bytes of a JSON request


class Wanted(BaseModel):
    """A request for a film. Beyond OpenAI's own fields: seed, actions, steps, preset, start, place, view, mesh."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = Field("", max_length=4096)
    model: str | None = Field(None, max_length=64)
    seconds: float = 4.0
    size: str | None = Field(None, max_length=32)
    seed: int = Field(0, ge=0, lt=2**63)
    actions: str | None = Field(None, max_length=4096)
    steps: int | None = Field(None, ge=1, le=1000)
    preset: str | None = Field(None, max_length=64)
    start: int | Literal["nothing"] | None = None
    place: str | None = Field(None, max_length=64)
    view: str | None = Field(None, max_length=64)
    mesh: str | None = Field(None, max_length=64)


def router(jobs: Jobs, film: Callable[[str], Response]) -> APIRouter:
    """``film`` answers with a finished job's file."""
    routes = APIRouter(prefix="/v1/videos")

    @routes.post("")
    async def create(request: Request) -> Response:
        wanted = await _read(request)
        names = ("seed", "actions", "steps", "preset", "start")
        options = {name: value for name in names if (value := getattr(wanted, name)) is not None}
        try:
            first = {"place": wanted.place, "view": wanted.view, "mesh": wanted.mesh}
            job = jobs.create(wanted.model, wanted.prompt, wanted.seconds, wanted.size, options, first)
            return JSONResponse(job.public())
        except Full as full:
            raise HTTPException(429, str(full), {"Retry-After": str(round(full.retry_after_s))}) from None
        except UserError as error:
            raise HTTPException(400, str(error)) from None

    @routes.get("")
    async def index(limit: int = 20, order: str = "desc", after: str = "") -> dict[str, Any]:
        rows = sorted(jobs.jobs.values(), key=lambda job: job.created_at, reverse=order != "asc")
        ids = [job.id for job in rows]
        rows = rows[ids.index(after) + 1 :] if after in ids else rows
        page = rows[: max(1, min(limit, 100))]
        return {
            "object": "list", "data": [job.public() for job in page], "has_more": len(rows) > len(page),
            "first_id": page[0].id if page else None, "last_id": page[-1].id if page else None,
        }  # fmt: skip

    @routes.get("/{id}")
    async def one(id: str) -> dict[str, Any]:
        return _found(jobs, id).public()

    @routes.delete("/{id}")
    async def delete(id: str) -> dict[str, Any]:
        _found(jobs, id)
        jobs.delete(id)
        return {"id": id, "object": "video.deleted", "deleted": True}

    @routes.get("/{id}/content")
    async def content(id: str, variant: str = "video") -> Response:
        job = _found(jobs, id)
        if variant != "video":
            raise HTTPException(400, f"variant must be video, got {variant[:32]!r}")
        if job.status != "completed" or not jobs.recordings.ready(id):
            raise HTTPException(409, f"the video is {job.status}", {"Retry-After": "1"})
        return film(id)

    return routes


async def _read(request: Request) -> Wanted:
    """The request's fields, from JSON or from a form; no part of it names a file of this machine."""
    kind = request.headers.get("content-type", "").partition(";")[0]
    try:
        if kind in ("multipart/form-data", "application/x-www-form-urlencoded"):
            async with request.form(max_files=0, max_fields=32, max_part_size=8192) as form:
                return Wanted.model_validate({name: str(value) for name, value in form.items()})
        return Wanted.model_validate_json(await _body(request))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        raise HTTPException(400, f"{where}: {first['msg']}"[:300]) from None


async def _body(request: Request) -> bytes:
    """The whole body, whatever length it claims; at most ``LARGEST`` bytes."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > LARGEST:
            raise HTTPException(413, f"a request has at most {LARGEST} bytes")
    return body


def _found(jobs: Jobs, id: str) -> Job:
    if id not in jobs.jobs:
        raise HTTPException(404, "no video with this id")
    return jobs.jobs[id]
