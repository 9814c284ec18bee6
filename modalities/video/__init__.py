"""Video: latent codecs and the models that dream frames."""

from unreel.modalities.media.export import Exported, export, frames_of, open_exporter
from unreel.modalities.media.frames import Frames
from unreel.modalities.media.sheet import contact_sheet
from unreel.modalities.media.start import load_start
from unreel.modalities.media.writer import FrameWriter
from unreel.modalities.video.codec import FoldCodec

__all__ = [
    "Exported",
    "FoldCodec",
    "FrameWriter",
    "Frames",
    "contact_sheet",
    "export",
    "frames_of",
    "load_start",
    "open_exporter",
]
