"""Samplers: turn a clean prediction into the next state of a chunk."""
