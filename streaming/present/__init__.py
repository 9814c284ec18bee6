"""What a modality's events look like to those who watch: one module per modality, chosen here and nowhere else."""

from __future__ import annotations

from unreel.streaming.present.base import Manner, Picture, Presenter, Shape
from unreel.streaming.present.motion import MOTION
from unreel.streaming.present.panorama import PANORAMA
from unreel.streaming.present.rig import RIG
from unreel.streaming.present.video import VIDEO

MANNERS = {"video": VIDEO, "panorama": PANORAMA, "rig": RIG, "motion": MOTION}

__all__ = ["Manner", "Picture", "Presenter", "Shape", "manner"]


def manner(modality: str) -> Manner:
    """The manner of a modality; one that is not known here is taken for plain frames."""
    return MANNERS.get(modality, VIDEO)
