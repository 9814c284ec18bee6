"""Backbones: networks that predict a clean chunk from a noisy one and its context."""
