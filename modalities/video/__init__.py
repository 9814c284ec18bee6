"""Video: latent codecs, MP4/GIF/WebP/PNG writers, start frames and contact sheets."""
