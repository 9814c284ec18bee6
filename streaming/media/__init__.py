"""Encoders for live chunks: frames in, bytes out in the same call, nothing held back."""

from unreel.streaming.media.base import Encoded, Encoder, open_encoder

__all__ = ["Encoded", "Encoder", "open_encoder"]
