"""Worlds: compact features of what a player sees, forecast under actions and read as colours, classes and depth."""

from unreel.modalities.world.codec import WorldCodec

__all__ = ["WorldCodec"]
