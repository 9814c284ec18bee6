"""Batch jobs: a film of a fixed length, made beside the live sessions on the same model and in the same calls."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from unreel.engine.actions import parse_actions
from unreel.engine.batch import Full
from unreel.engine.errors import UserError
from unreel.streaming.backend import Began, Ended, Made, Notice, Refused, Start
from unreel.streaming.config import ServerConfig
from unreel.streaming.hub import Hub
from unreel.streaming.present import manner
from unreel.streaming.recording import Recordings
from unreel.streaming.wishes import first_controls, shape_of

AHEAD = 8  # chunks that may be made before the last one is encoded


@dataclass
class Job:
    """One film. ``status`` is queued, in_progress, completed or failed."""

    id: str
    model: str
    prompt: str
    seconds: float
    size: str
    chunks: int
    status: str = "queued"
    made: int = 0
    error: str = ""
    created_at: int = field(default_factory=lambda: int(time.time()))
    completed_at: int | None = None

    def public(self) -> dict[str, Any]:
        """As the OpenAI video API shows it."""
        done = self.status == "completed"
        return {
            "id": self.id, "object": "video", "model": self.model, "status": self.status, "prompt": self.prompt,
            "progress": 100 if done else min(99, 100 * self.made // self.chunks), "created_at": self.created_at,
            "completed_at": self.completed_at, "expires_at": None, "seconds": f"{self.seconds:g}", "size": self.size,
            "error": {"code": "generation_failed", "message": self.error} if self.error else None,
            "remixed_from_video_id": None,
        }  # fmt: skip


class Jobs:
    """Lives on the loop. A job is a session without viewers: paced by nothing, recorded, of a fixed length."""

    def __init__(self, hub: Hub, recordings: Recordings, config: ServerConfig) -> None:
        self.hub, self.recordings, self.config = hub, recordings, config
        self.jobs: dict[str, Job] = {}

    def create(
        self, model: str | None, prompt: str, seconds: float, size: str | None, options: dict[str, Any],
        first: Mapping[str, str | None] | None = None,
    ) -> Job:  # fmt: skip
        """Queue a film; ``first`` are the place, the view and the mesh it begins with.

        Raises:
            UserError: something this model cannot do.
            Full: too many jobs are unfinished.
        """
        name = model or next(iter(self.hub.backends))
        if name not in self.hub.infos:
            raise UserError(f"models here: {', '.join(self.hub.infos)}; got {name[:64]!r}")
        info = self.hub.infos[name]
        if sum(job.status in ("queued", "in_progress") for job in self.jobs.values()) >= self.config.jobs:
            raise Full(f"{self.config.jobs} jobs are unfinished", 10.0)
        if not 0 < seconds <= self.config.job_seconds:
            raise UserError(f"seconds must be above 0 and at most {self.config.job_seconds:g}, got {seconds:g}")
        own = f"{info.width}x{info.height}"
        if size is not None and size != own:
            raise UserError(f"{name} makes {own}, got size {size[:32]!r}")
        chunks = max(1, round(seconds * info.fps / info.frames_per_chunk))
        text = prompt.strip()
        asked = {"place": None, "view": None, "mesh": None, **(first or {})}
        if text and "place" in info.controls and "prompt" not in info.controls:
            asked, text = {**asked, "place": text}, ""
        controls = first_controls(info, self.hub.views, asked["place"], asked["view"])
        shape = shape_of(info, self.hub.views, asked["mesh"])
        wishes = {**options, "length": chunks * manner(info.modality).chunks, "preset": options.get("preset")}
        if text and "prompt" not in info.controls:
            parse_actions(text, info.actions) if info.actions else _no_prompt(name)
            wishes["actions"] = text
        job = Job("video_" + self.hub.secret(), name, prompt, chunks * info.frames_per_chunk / info.fps, own, chunks)
        self.jobs[job.id] = job
        self._trim()
        self.hub.listeners[job.id] = self._notice
        start = Start(wishes, 0.0, True, text if text and "prompt" in info.controls else None, controls, shape)
        self.hub.backends[name].open(job.id, start)
        return job

    def delete(self, id: str) -> bool:
        """Stop and forget a job and its film."""
        job = self.jobs.pop(id, None)
        if job is None:
            return False
        self.hub.listeners.pop(id, None)
        self.hub.backends[job.model].close(id)
        self.recordings.drop(id)
        return True

    def _notice(self, notice: Notice) -> None:
        job = self.jobs.get(notice.id)
        if job is None:
            return
        backend = self.hub.backends[job.model]
        if isinstance(notice, Began):
            job.status = "in_progress"
            backend.grant(job.id, AHEAD)
        elif isinstance(notice, Made):
            job.made += notice.frames > 0
            backend.touch(job.id)
            backend.grant(job.id, notice.seq + 1 + AHEAD)
        elif isinstance(notice, Refused):
            self._end(job, notice.message)
        elif isinstance(notice, Ended):
            self._end(job, "" if notice.why == "finished" else notice.message or f"the job ended: {notice.why}")

    def _end(self, job: Job, error: str) -> None:
        if not error and not self.recordings.ready(job.id):
            error = "the film could not be written"
        job.status, job.error = ("failed", error) if error else ("completed", "")
        job.completed_at = int(time.time())
        self.hub.listeners.pop(job.id, None)

    def _trim(self) -> None:
        """Forget the oldest finished jobs: the list is bounded."""
        for id in [id for id, job in self.jobs.items() if job.completed_at is not None][: max(0, len(self.jobs) - 256)]:
            self.delete(id)


def _no_prompt(name: str) -> None:
    raise UserError(f"{name} takes neither prompts nor actions: leave the prompt empty")
