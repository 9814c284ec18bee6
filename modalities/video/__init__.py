"""Video: latent codecs, MP4/GIF/WebP/PNG writers, start frames and contact sheets."""

from unreel.modalities.video.codec import FoldCodec
from unreel.modalities.video.export import Exported, export, frames_of, open_exporter
from unreel.modalities.video.frames import Frames
from unreel.modalities.video.sheet import contact_sheet
from unreel.modalities.video.start import load_start
from unreel.modalities.video.writer import FrameWriter

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
