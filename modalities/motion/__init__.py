"""Motions of skeletons, pose by pose without an end: features, a causal codec of residual tokens, a transformer.

One body stands for all: motions are carried onto its joints to be learned, and from them onto any rig to be shown.
"""
