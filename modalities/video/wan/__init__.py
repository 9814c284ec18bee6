"""The Wan 2.1 family: published checkpoints, their VAE and their text encoder."""
