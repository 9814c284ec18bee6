"""unreel: live streams out of autoregressive video and 3D models."""
