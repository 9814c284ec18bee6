"""One folder per modality; each turns latents into media and back. They do not import each other."""
