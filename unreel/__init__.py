"""unreel: live streams out of autoregressive video and 3D models.

import unreel
session = unreel.load("dream").session(seed=7)
for event in session.stream(frames=480, actions="d-40,wd-20,none-10"):
    show(event.payload)                      # uint8 frames (T, H, W, 3)
"""

from __future__ import annotations

from unreel import _threads  # noqa: F401  before anything that imports torch
from unreel.catalogue import load, models
from unreel.engine.errors import UserError
from unreel.engine.generate import advance
from unreel.engine.model import Model
from unreel.engine.session import Session
from unreel.engine.types import Chunk, CommitMode, Control, Event
from unreel.export import export
from unreel.forecaster import Forecaster
from unreel.streaming.client import connect

__version__ = "0.1.0"

__all__ = [
    "Chunk",
    "CommitMode",
    "Control",
    "Event",
    "Forecaster",
    "Model",
    "Session",
    "UserError",
    "advance",
    "connect",
    "export",
    "load",
    "models",
]
