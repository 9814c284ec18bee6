"""The media thread: encodes what the engine made, while the engine makes the next. One for all models.

Chunks of a session go through in order: its presenter says what each is in every wanted format, that is encoded and
delivered, and what it adds to the film goes to the scribe. Its queue is bounded, so an engine that is faster than the
encoders waits instead of piling up.
"""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from unreel.engine.model import Model
from unreel.engine.types import Event
from unreel.streaming.backend import Ended, Made, Notice, Packet, Still
from unreel.streaming.media import Encoded, Encoder, open_encoder
from unreel.streaming.present import Manner, Picture, Presenter, Shape, manner
from unreel.streaming.protocol import Media, Timing
from unreel.streaming.recording import Recordings
from unreel.streaming.steer import wire_name

log = logging.getLogger("unreel.streaming")
WAITING = 64  # chunks

Open = Callable[[str, int, int, float], Encoder]


@dataclass
class Desk:
    """What the studio keeps of one session."""

    manner: Manner
    presenter: Presenter
    fps: float
    record: bool
    shape: Shape | None = None
    formats: frozenset[str] = frozenset()
    encoders: dict[str, Encoder] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)


class Studio:
    """Public methods may be called from any thread; ``put`` blocks while the queue is full."""

    def __init__(
        self, recordings: Recordings, deliver: Callable[[Notice], None], encoders: Open = open_encoder
    ) -> None:
        self.recordings, self.deliver, self.encoders = recordings, deliver, encoders
        self.desks: dict[str, Desk] = {}
        self._queue: queue.Queue[Callable[[], None] | None] = queue.Queue(WAITING)
        self._thread = threading.Thread(target=self._run, name="studio", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Everything put so far is encoded and recorded when this returns."""
        self._queue.put(None)
        self._thread.join()

    def open(self, id: str, model: Model, record: bool, shape: Shape | None = None, like: str = "") -> None:
        """``shape`` is the mesh or rig the session is about; that of the session ``like``, where it is a fork."""
        kind = manner(model.card.modality)
        if like in self.desks:
            shape = self.desks[like].shape
        self.desks[id] = Desk(kind, kind.presenter(model, shape), model.fps, record, shape)

    def want(self, id: str, formats: frozenset[str]) -> None:
        desk = self.desks.get(id)
        if desk is not None:
            desk.formats = formats  # read once per chunk

    def key(self, id: str, format: str, still: bool) -> None:
        desk = self.desks.get(id)
        if desk is not None:
            desk.keys.add(format)
            if still:
                self._offer(lambda: self._still(id, format))

    def put(self, id: str, event: Event, context_bytes: int, upcoming: str | None = None) -> None:
        """``upcoming`` is the region that the engine makes next, where it says."""
        self._queue.put(lambda: self._chunk(id, event, context_bytes, upcoming))

    def end(self, id: str, why: str = "", message: str = "") -> None:
        """The session is over: finish its recording, then say so when ``why`` is given."""
        self._queue.put(lambda: self._end(id, why, message))

    # ---- on the studio's thread ------------------------------------------------------------------------------

    def _offer(self, task: Callable[[], None]) -> None:
        """Called from the loop, which must not block: a still is not worth waiting for."""
        try:
            self._queue.put_nowait(task)
        except queue.Full:
            log.info("the studio is busy: no still")

    def _run(self) -> None:
        while (task := self._queue.get()) is not None:
            try:
                task()
            except Exception:
                log.exception("a task of the studio failed")

    def _chunk(self, id: str, event: Event, context_bytes: int, upcoming: str | None) -> None:
        desk = self.desks.get(id)
        if desk is None:
            return
        began = time.perf_counter()
        try:
            desk.presenter.take(event)
            film = desk.presenter.film()
        except Exception:
            log.exception("an event could not be presented")
            self._end(id, "failed", "what was made cannot be shown")
            return
        encoded = {}
        for format in set(desk.encoders) - desk.formats:
            del desk.encoders[format]  # whoever comes back to it begins with a key
        for format in desk.formats:
            picture = desk.presenter.picture(format)
            if picture is None:
                continue
            if upcoming is not None:
                picture = replace(picture, part=replace(picture.part, upcoming=upcoming))
            try:
                encoded[format] = (picture, *self._encode(desk, format, picture))
            except Exception:
                log.exception("encoding %s failed twice", format)
                self._end(id, "encoder", f"the picture could not be encoded as {format}")
                return
        timing = Timing(
            model_ms=round(event.timing.get("model", 0) * 1e3, 3),
            decode_ms=round(event.timing.get("decode", 0) * 1e3, 3),
            encode_ms=round((time.perf_counter() - began) * 1e3, 3),
            total_ms=round(event.timing.get("total", 0) * 1e3, 3),
        )
        applied = tuple((control.id, wire_name(control.kind)) for control in event.applied)
        packets = {format: _packet(*made, tuple(c for c, _ in applied), timing) for format, made in encoded.items()}
        frames = 0 if film is None else len(film)
        self.deliver(Made(id, event.seq, event.chunk.index, frames, applied, timing, packets, context_bytes))
        if desk.record and film is not None:
            self.recordings.write(id, film, desk.fps, desk.presenter.record, desk.manner.suffix)

    def _encode(self, desk: Desk, format: str, picture: Picture) -> tuple[Encoded, tuple[Media, bytes]]:
        """One chunk in one format. A broken encoder is replaced once: the new one begins with a key."""
        for attempt in (1, 2):
            try:
                if format not in desk.encoders:
                    desk.encoders[format] = self.encoders(format, *desk.presenter.size(format), desk.fps)
                encoder = desk.encoders[format]
                encoded = encoder.encode(picture.frames, format in desk.keys)
                desk.keys.discard(format)
                return encoded, desk.presenter.describe(*encoder.describe())
            except Exception:
                desk.encoders.pop(format, None)
                if attempt == 2:
                    raise
                log.warning("the %s encoder failed and is replaced", format, exc_info=True)
        raise AssertionError("not reached")

    def _still(self, id: str, format: str) -> None:
        desk = self.desks.get(id)
        if desk is None or format == "fmp4":
            return
        zero = Timing(model_ms=0, decode_ms=0, encode_ms=0, total_ms=0)
        for picture in desk.presenter.stills(format):
            encoder = self.encoders(format, *desk.presenter.size(format), desk.fps)
            encoded = encoder.encode(picture.frames, True)
            media = desk.presenter.describe(*encoder.describe())
            self.deliver(Still(id, format, _packet(picture, encoded, media, (), zero)))

    def _end(self, id: str, why: str, message: str) -> None:
        desk = self.desks.pop(id, None)
        if desk is None:
            return

        def tell() -> None:
            if why:
                self.deliver(Ended(id, why, message))

        if desk.record:
            self.recordings.finish(id, tell)
        else:
            tell()


def _packet(
    picture: Picture, e: Encoded, media: tuple[Media, bytes], applied: tuple[str, ...], timing: Timing
) -> Packet:
    key = e.key if picture.key is None else picture.key
    return Packet(
        picture.seq, picture.chunk, len(picture.frames), key, e.data, e.sizes, applied, timing, media, picture.part,
        picture.whole,
    )  # fmt: skip
