"""What the commands need of video models: whole frames, filmed as they come."""

from unreel.modalities.media.filming import collector, exporter, inputs, order

__all__ = ["collector", "exporter", "inputs", "order"]
