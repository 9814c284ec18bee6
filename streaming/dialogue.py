"""A client's side of the protocol, without sockets: frames in, decoded chunks and answers out."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray
from PIL import Image

from unreel.engine.errors import UserError
from unreel.modalities.media.frames import Frames
from unreel.streaming import protocol as p


@dataclass(frozen=True, slots=True)
class LiveChunk:
    """``frames`` uint8 (T, H, W, 3), decoded; ``data`` as it came (``fmp4`` is not decoded: ``frames`` is empty).

    ``rows`` float32 (T, W) is what comes instead of pictures in that format: poses or joints.
    In ``rgb`` or ``jpeg`` a panorama comes face by face: ``header`` has ``region`` and ``rect``.
    """

    seq: int
    chunk: int
    frames: Frames
    data: bytes
    header: p.Chunk
    rows: NDArray[np.float32] | None = None

    @property
    def applied(self) -> list[str]:
        """Ids of the controls that this chunk is the first to obey."""
        return self.header.applied


class Dialogue:
    """The client's side of the protocol, without sockets: messages in, chunks and answers out."""

    def __init__(self, hello: p.Configure | p.Watch | p.Resume) -> None:
        self.hello: p.Configure | p.Watch | p.Resume = hello
        self.configured: p.Configured | None = None
        self.media: p.Media | None = None
        self.init = b""  # the binary that came with ``media``: an init segment, or a GLB
        self.controls: list[p.ControlStatus] = []  # what became of controls, newest last
        self.stats: p.Stats | None = None
        self.forked: p.Forked | None = None
        self.last_seq: int | None = None
        self.over = ""
        self._expects: Any = None
        self._decoder: Any = None
        self._ids = 0

    def receive(self, data: str | bytes) -> LiveChunk | None:
        """A frame from the server; a chunk when it completed one.

        Raises:
            UserError: the server refused or ended something, in its own words.
        """
        if isinstance(data, bytes):
            return self._binary(data)
        message = p.parse_server(data)
        if isinstance(message, p.Configured):
            self.configured = message
        elif isinstance(message, p.Chunk) or (isinstance(message, p.Media) and message.bytes):
            self._expects = message
        elif isinstance(message, p.ControlStatus):
            self.controls = [*self.controls[-255:], message]
        elif isinstance(message, p.Forked):
            self.forked = message
        elif isinstance(message, p.Stats):
            self.stats = message
        elif isinstance(message, p.Closing):
            self.over = message.reason
            if message.reason not in ("ended", "finished", "shutdown"):
                raise UserError(f"the server closed the stream: {message.reason} {message.message}".strip())
        elif isinstance(message, p.Error):
            raise UserError(f"{message.code}: {message.message}")
        if isinstance(message, p.Media) and message != self.media:  # the same again: resumed, the decoder goes on
            self.media, self._decoder = message, None
        return None

    def is_over(self) -> bool:
        """Whether the server has said its last word; ``over`` is why."""
        return bool(self.over)

    def control(self, kind: str, value: Any = None) -> p.Control:
        """A control with an id of its own."""
        self._ids += 1
        return p.Control(id=f"p{self._ids}", kind=kind, value=value)  # type: ignore[arg-type]

    def resume(self) -> bool:
        """Turn to resuming after a lost connection; False where there is nothing to resume."""
        if self.configured is None or self.configured.key is None or self.over:
            return False
        wish: Any = self.hello
        self.hello = p.Resume(
            session=self.configured.session, key=self.configured.key, last_seq=self.last_seq, formats=wish.formats,
            window=wish.window,
        )  # fmt: skip
        return True

    def _binary(self, data: bytes) -> LiveChunk | None:
        message, self._expects = self._expects, None
        if isinstance(message, p.Media):
            self.init = data
            return None
        if not isinstance(message, p.Chunk):
            raise UserError("the server sent bytes that belong to no message")
        self.last_seq = message.seq
        rows = None
        if message.format == "rows":
            rows = np.frombuffer(data, "<f4").reshape(message.frames, -1).astype(np.float32)
        return LiveChunk(message.seq, message.chunk, self._decode(message, data), data, message, rows)

    def _decode(self, header: p.Chunk, data: bytes) -> Frames:
        media = self.media
        assert media is not None, "media comes before the first chunk"
        parts, at = [], 0
        for size in header.sizes:
            parts.append(data[at : at + size])
            at += size
        if header.format == "rgb":
            height, width = (media.height, media.width) if header.rect is None else header.rect[2:]
            return np.frombuffer(data, np.uint8).reshape(-1, height, width, 3)
        if header.format == "jpeg":
            return np.stack([np.asarray(Image.open(io.BytesIO(part)).convert("RGB")) for part in parts])
        if header.format == "h264":
            return self._h264(parts, media)
        return np.empty((0, media.height, media.width, 3), np.uint8)

    def _h264(self, parts: list[bytes], media: p.Media) -> Frames:
        if self._decoder is None:
            self._decoder = av.CodecContext.create("h264", "r")
            self._decoder.thread_count = 1
            self._decoder.flags |= Flags.low_delay
        frames = [f.to_ndarray(format="rgb24") for part in parts for f in self._decoder.decode(av.Packet(part))]
        return np.stack(frames) if frames else np.empty((0, media.height, media.width, 3), np.uint8)
