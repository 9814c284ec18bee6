"""Every number the server obeys, in one frozen place, checked once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path

from unreel.engine.batch import Limits
from unreel.engine.errors import UserError

LOCAL = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class ServerConfig:
    """``unreel serve`` makes one from its options. An uploaded view or mesh has at most ``view_bytes``.

    Flow: a viewer owes at most ``window`` acks and ``window_bytes``; waits at most ``lag`` chunks longer before it
    loses what it missed; is closed after ``stall_s`` without an ack, or when a websocket ping, sent every ``ping_s``,
    is not answered for as long. ``ring`` chunks and ``ring_bytes`` per session and format are kept for late joiners
    and resumed clients; a session without viewers lives ``resume_s`` longer.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    insecure: bool = False
    origins: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)
    lead_s: float = 0.0
    window: int = 16
    window_bytes: int = 4_000_000
    lag: int = 4
    stall_s: float = 20.0
    ping_s: float = 10.0
    ring: int = 64
    ring_bytes: int = 16_000_000
    resume_s: float = 30.0
    key_gap_s: float = 0.5
    connections: int = 256
    viewers: int = 128
    forks: int = 4
    hello_s: float = 10.0
    message_bytes: int = 32_768
    messages_per_s: float = 200.0
    burst: int = 400
    mistakes: int = 20
    recordings: Path | None = None
    record: bool = True
    keep_s: float = 3600.0
    keep_bytes: int = 2_000_000_000
    view_bytes: int = 64_000_000
    jobs: int = 16
    job_seconds: float = 600.0

    def __post_init__(self) -> None:
        for name in (
            "window",
            "window_bytes",
            "ring",
            "ring_bytes",
            "connections",
            "viewers",
            "forks",
            "burst",
            "mistakes",
            "view_bytes",
        ):
            if getattr(self, name) < 1:
                raise UserError(f"{name} must be 1 or more, got {getattr(self, name)}")
        for f in fields(self):
            if f.name.endswith("_s") and not getattr(self, f.name) >= 0:
                raise UserError(f"{f.name} must be 0 seconds or more, got {getattr(self, f.name)}")
        if not 0 <= self.port < 65536:
            raise UserError(f"port must lie in 0..65535, got {self.port}")
        if self.token is not None and len(self.token) < 8:
            raise UserError("a token needs 8 characters or more: anybody who guesses it can use the server")
        if self.host not in LOCAL and self.token is None and not self.insecure:
            raise UserError(
                f"host {self.host} can be reached by others: give --token SECRET, or --insecure to serve anybody"
            )
