"""What a motion session emits: the poses of one chunk, as a motion and as plain rows of float32."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unreel.modalities.skeleton.motion import Motion
from unreel.modalities.skeleton.rotations import Floats
from unreel.modalities.skeleton.skeleton import Skeleton


@dataclass(frozen=True, eq=False)
class Poses:
    """Poses of ``skeleton``: where the root is (T, 3) in metres, how joints turn (T, J, 4) locally, xyzw.

    ``contacts`` (T, F) are 0..1: how surely each foot of `features.Layout` stands.
    """

    skeleton: Skeleton
    fps: float
    root: Floats
    rotations: Floats
    contacts: Floats

    def __len__(self) -> int:
        return len(self.root)

    @property
    def rows(self) -> Floats:
        """(T, 3 + 4 J) float32: the root's place, then every joint's rotation. What goes over the wire."""
        return np.concatenate([self.root, self.rotations.reshape(len(self), -1)], 1).astype(np.float32)

    @property
    def motion(self) -> Motion:
        """The same as a motion."""
        return Motion(self.skeleton, self.fps, self.root, self.rotations)


def whole(parts: Sequence[Poses]) -> Motion:
    """The motion of chunks that follow each other, on the skeleton of the first."""
    root = np.concatenate([part.root for part in parts])
    rotations = np.concatenate([part.rotations for part in parts])
    return Motion(parts[0].skeleton, parts[0].fps, root, rotations)
