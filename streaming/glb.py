"""Recordings that are no film: what comes is kept as numbers, and a GLB is made of it when somebody asks."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any

from unreel.modalities.skeleton.glb import glb_bytes
from unreel.modalities.skeleton.rig import Rig


class GlbRecording(ABC):
    """Written by the scribe's thread, read by any. ``held`` is how many bytes wait in memory."""

    def __init__(self, path: Path) -> None:
        self.path, self.part = path, path.with_name(path.name + ".part")
        self.held = 0

    @abstractmethod
    def write(self, item: Any) -> None:
        """Take what one chunk adds."""

    @abstractmethod
    def rig(self) -> Rig | None:
        """What there is so far; None: nothing yet."""

    def snapshot(self, target: Path) -> bool:
        """Write what there is so far to ``target``; False: nothing yet."""
        rig = self.rig()
        if rig is not None:
            target.write_bytes(glb_bytes(rig))
        return rig is not None

    def close(self) -> None:
        """Write the file, if there is anything to write."""
        if self.snapshot(self.part):
            os.replace(self.part, self.path)
