"""The Khronos validator, as the tests of skeletons have it."""

from tests.modalities.skeleton.conftest import clean, validate

__all__ = ["clean", "validate"]
